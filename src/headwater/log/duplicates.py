"""Is this event new, a duplicate, or another event under an id that is taken?

Equal keys in the id index only say where to look: the answer comes from comparing whole events, those of
the log and those earlier in the same frame. Called by ``embedded`` for every append to a stream with an
id; costs a lookup when all ids are new, and one read of each segment concerned when not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Int64
from headwater.log.ids import IdIndex, keys_of
from headwater.log.protocol import Outcome, Refusal
from headwater.log.schema import StoredSchema

Fetch = Callable[[Int64], pl.DataFrame]  # offsets, ascending -> the events there, in that order


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the events of a frame are; shape (n,) each.

    Attributes:
        keys: the key of each id.
        outcome: an Outcome each, or None when all are new.
        known: offset of the event in the log that has this id, else -1.
        twin: row of the event earlier in the frame that has this id, else -1.
        refusals: why events are refused, ascending by row.
    """

    keys: Int64
    outcome: npt.NDArray[np.int8] | None
    known: Int64
    twin: Int64
    refusals: tuple[Refusal, ...] = ()


def judge(frame: pl.DataFrame, schema: StoredSchema, index: IdIndex, seed: int, fetch: Fetch) -> Verdict:
    """Judge every event of a frame of a stream with an id."""
    if schema.id is None:
        raise ValueError(f"stream {schema.stream!r} has no id")
    keys = keys_of(frame[schema.id], seed)
    order = np.argsort(keys) if len(keys) > 1 else np.zeros(1, np.int64)
    ascending = keys[order]
    rows, offsets = index.find(ascending)
    repeated = bool((ascending[1:] == ascending[:-1]).any())
    if not len(rows) and not repeated:
        return Verdict(keys, None, _EMPTY, _EMPTY)
    judgement = _Judgement(frame, schema)
    if len(rows):
        judgement.against_log(order[rows], offsets, fetch)
    if repeated:
        judgement.against_itself()
    return judgement.verdict(keys)


_EMPTY: Int64 = np.empty(0, np.int64)


class _Judgement:
    """Collects what is found about the rows of one frame."""

    def __init__(self, frame: pl.DataFrame, schema: StoredSchema) -> None:
        self._frame = frame
        self._schema = schema
        self._id: str = schema.id or ""
        self._outcome = np.zeros(frame.height, np.int8)
        self._known = np.full(frame.height, -1, np.int64)
        self._twin = np.full(frame.height, -1, np.int64)
        self._refusals: list[Refusal] = []

    def against_log(self, rows: Int64, offsets: Int64, fetch: Fetch) -> None:
        """Compare rows with stored events that have the same key."""
        places, position = np.unique(offsets, return_inverse=True)
        stored = fetch(places)
        same_id = self._frame[self._id].gather(rows) == stored[self._id].gather(position)
        match = same_id.to_numpy()
        self._known[rows[match]] = offsets[match]
        self._compare(rows[match], stored[position[match]])

    def against_itself(self) -> None:
        """Compare rows that are not in the log with the first row of the frame that has their id."""
        fresh = np.flatnonzero(self._known < 0)
        ids = self._frame[self._id].gather(fresh)
        first = pl.DataFrame({"id": ids, "row": fresh}).select(pl.col("row").first().over("id"))
        twin = first["row"].to_numpy()
        again = twin != fresh
        self._twin[fresh[again]] = twin[again]
        self._compare(fresh[again], self._frame[twin[again]])

    def verdict(self, keys: Int64) -> Verdict:
        """All that was found."""
        refusals = tuple(sorted(self._refusals, key=lambda refusal: refusal.row))
        return Verdict(keys, self._outcome, self._known, self._twin, refusals)

    def _compare(self, rows: Int64, held: pl.DataFrame) -> None:
        came = self._frame[rows]
        differs = {name: came[name].ne_missing(held[name]).to_numpy() for name in self._schema.names}
        changed = np.logical_or.reduce(list(differs.values()))
        self._outcome[rows] = np.where(changed, Outcome.REFUSED, Outcome.DUPLICATE)
        for place in np.flatnonzero(changed).tolist():
            columns = [name for name, differ in differs.items() if differ[place]]
            self._refusals.append(Refusal(int(rows[place]), "conflict", self._words(came, place, columns)))

    def _words(self, came: pl.DataFrame, place: int, columns: list[str]) -> str:
        hidden = self._id in self._schema.personal
        which = "an id" if hidden else f"the id {came[self._id][place]!r}"
        return (
            f"{which} of stream {self._schema.stream!r} came again with other content in {', '.join(columns)}"
        )
