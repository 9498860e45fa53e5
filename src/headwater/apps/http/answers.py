"""What came of a request, as plain values for JSON. The shapes are those of ``payloads``.

Called by ``routes``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import msgspec
from starlette.responses import Response

from headwater.apps.masking import Mask
from headwater.core.instant import SECOND, instant, iso
from headwater.core.schema import PERSONAL
from headwater.log.protocol import Outcome
from headwater.serving.group import Taken
from headwater.serving.live import Refresh
from headwater.serving.replay import Replayed
from headwater.serving.rescored import Rescored
from headwater.serving.served import Serving
from headwater.serving.vectors import Read
from headwater.store.decisions import Record

_OUTCOMES: dict[int, str] = {
    Outcome.NEW: "accepted",
    Outcome.DUPLICATE: "duplicate",
    Outcome.REFUSED: "refused",
}
_IN_ORDER: tuple[int, tuple[str, ...]] = (0, ())


def answer(value: Any, status: int = 200) -> Response:
    """Plain values as a JSON answer; NaN is null."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def of_events(stream: str, taken: Taken, serving: Serving, mask: Mask | None = None) -> dict[str, Any]:
    """``EventsAnswer``; with a mask, without personal values."""
    outcomes = taken.outcome.tolist()
    found: dict[str, Any] = {
        "stream": stream,
        "accepted": outcomes.count(Outcome.NEW),
        "duplicates": outcomes.count(Outcome.DUPLICATE),
        "refused": outcomes.count(Outcome.REFUSED),
        "arrival": iso(taken.arrival),
        "results": _results(outcomes, taken),
    }
    if taken.refreshes is not None:
        found["scores"] = [one for part in taken.refreshes.parts for one in _of_part(*part, serving, mask)]
    if taken.failure is not None:
        found["failure"] = str(taken.failure)
    return found


def _results(outcomes: list[int], taken: Taken) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = [
        {"outcome": _OUTCOMES[outcome], "offset": offset}
        for outcome, offset in zip(outcomes, taken.offset.tolist(), strict=True)
    ]
    for one in taken.refused:
        results[one.row] = {"outcome": "refused", "reason": one.reason, "message": one.message}
    return results


def of_refresh(refresh: Refresh, serving: Serving, mask: Mask | None = None) -> dict[str, Any]:
    """``Score``; with a mask, without personal values."""
    scored = refresh.scored
    keys = scored.keys if mask is None else mask.values(scored.model, scored.keys)
    band = serving.band(scored.model, scored.score)
    facts = plain(keys), scored.score, band, iso(scored.time), scored.offset
    return _score(scored.model, *facts, refresh.late, refresh.moved)


def _of_part(
    rescored: Rescored, rows: Sequence[int], serving: Serving, mask: Mask | None
) -> Iterator[dict[str, Any]]:
    """:func:`of_refresh` of some rows, column by column."""
    model, late = rescored.scoring.model, rescored.late
    hidden = frozenset() if mask is None else mask.inputs(model.name, model.keys)
    columns = [_shown(rescored.column(name), rows, hide=name in hidden) for name in model.keys]
    times, offsets, scores = rescored.numbers
    bands = serving.bands(model.name, [scores[row] for row in rows])
    for row, band, *keys in zip(rows, bands, *columns, strict=True):
        by, moved = late.get(row, _IN_ORDER) if late else _IN_ORDER
        yield {
            "model": model.name,
            "keys": dict(zip(model.keys, keys, strict=True)),
            "score": scores[row],
            "band": band,
            "time": iso(times[row]),
            "offset": offsets[row],
            "late_seconds": by / SECOND,
            "moved": moved,
        }


def _shown(column: Sequence[Any], rows: Sequence[int], *, hide: bool) -> Sequence[Any]:
    """Some values of a key column as JSON holds them."""
    if hide:
        return [PERSONAL] * len(rows)
    found = [column[row] for row in rows]
    plain_already = all(value.__class__ is int or value.__class__ is str for value in found)
    return found if plain_already else [one_plain(value) for value in found]


def _score(
    model: str,
    keys: dict[str, Any],
    score: float,
    band: str | None,
    time: str,
    offset: int,
    late: int,
    moved: Sequence[str],
) -> dict[str, Any]:
    return {
        "model": model,
        "keys": keys,
        "score": score,
        "band": band,
        "time": time,
        "offset": offset,
        "late_seconds": late / SECOND,
        "moved": moved,
    }


def of_decision(record: Record, mask: Mask | None = None) -> dict[str, Any]:
    """``DecisionAnswer``; with a mask, without personal values."""
    made = record.decision
    shown = {} if mask is None else mask.decision(made)
    return {
        "decision_id": record.id,
        "policy": made.policy,
        "model": made.model,
        "keys": plain(made.keys if mask is None else shown["keys"]),
        "request": plain(made.request if mask is None else shown["request"]),
        "score": made.score,
        "band": made.band,
        "reasons": made.reasons if mask is None else shown["reasons"],
        "features": made.features if mask is None else shown["features"],
        "time": iso(made.time),
        "decided_at": iso(made.decided_at),
        "offset": made.offset,
        "versions": {
            "model": made.model_digest,
            "definition": made.definition_hash,
            "policy": made.policy_hash,
        },
        "chain": record.chain.hex(),
    } | _places(made.places)


def of_replay(record: Record, replayed: Replayed, hidden: Collection[str] = ()) -> dict[str, Any]:
    """``ReplayAnswer``; without the values of inputs that are hidden, which reasons quote, too."""
    secret = {f"the feature {name!r}" for name in hidden} | ({"the reasons"} if hidden else set())
    return {
        "decision_id": record.id,
        "same": replayed.same,
        "events": replayed.events,
        "differences": [
            replace(one, then=PERSONAL, now=PERSONAL) if one.what in secret else one
            for one in replayed.differences
        ],
        "words": list(replayed.words(hidden)),
        "score": replayed.now.score,
        "band": replayed.now.band,
    }


def of_features(view: str, key_name: str, key: Any, read: Read, personal: Collection[str]) -> dict[str, Any]:
    """``FeaturesAnswer``; values made of personal columns are masked, and the key if it is one."""
    features = {
        name: PERSONAL if name in personal and value is not None else one_plain(value)
        for name, value in read.values.items()
    }
    return {
        "view": view,
        "key": PERSONAL if key_name in personal else key,
        "time": iso(read.time),
        "offset": read.offset,
        "features": features,
    } | _places(read.places)


def _places(places: Mapping[str, int]) -> dict[str, Any]:
    """Where the log is Kafka's; elsewhere nothing."""
    return {"places": dict(places)} if places else {}


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON holds them."""
    return {name: one_plain(value) for name, value in values.items()}


def one_plain(value: Any) -> Any:
    """A value as JSON holds it: times as ISO 8601."""
    if isinstance(value, datetime):
        return iso(instant(value))
    return value.isoformat() if isinstance(value, date) else value
