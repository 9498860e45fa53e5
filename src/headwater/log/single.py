"""One event or a few at a time: the short way of the live host into the log.

What ``appending`` works out for frames of any size, from the values of a single row or of a handful. It takes
only what raises no question: the stream's types, ids that are new, an arrival that does not go back.
Everything else gets None and goes the long way, which judges it or says what is wrong. Tests hold both ways
to the same plan, to the byte. Called by ``embedded``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.batch import Int64
from headwater.core.handful import Values
from headwater.log.catalog import Version
from headwater.log.ids import IdIndex, NewIds, key_of, key_of_value
from headwater.log.index import IndexOfStreams
from headwater.log.plan import EMPTY, Head, Plan, end_of
from headwater.log.protocol import Append, Outcome, Receipt
from headwater.log.segments import WINDOW, make_single

_NOWHERE: Int64 = np.full(1, -1)
_NEW: npt.NDArray[np.int8] = np.full(1, Outcome.NEW, np.int8)
_NOWHERE.flags.writeable = _NEW.flags.writeable = False  # every receipt shares them


def plan_single(
    append: Append, version: Version, heads: Mapping[str, Head], index: IndexOfStreams
) -> Plan | None:
    """The plan of an append of one event, or None if the long way is needed."""
    stream, arrival, single = append.stream, append.arrival, version.single
    last, latest = end_of(heads)
    if append.frame.height != 1 or not isinstance(arrival, int) or arrival < latest:
        return None
    values = single.values(append.frame)
    time = None if values is None else single.time(values)
    if values is None or time is None:
        return None
    offset = np.array([last + 1])
    ids = {}
    if single.id_place is not None:
        new = _new_id(append.frame.to_series(single.id_place), offset, index.of(stream), index.seed)
        if new is None:
            return None
        ids[stream] = new
    head = heads.get(stream, EMPTY)
    segment = make_single(
        stream,
        version.number,
        version.codec,
        single.encode(values),
        head.chain,
        offset=last + 1,
        arrival=arrival,
        times=[time],
    )
    heads = {stream: Head(head.events + 1, last + 1, arrival, segment.chain)}
    receipt = Receipt(1, 0, 0, last + 1, last + 1, offset, _NOWHERE, _NEW)
    return Plan((segment,), heads, ids, [receipt])


def plan_few(
    stream: str,
    values: Values,
    arrival: int,
    version: Version,
    heads: Mapping[str, Head],
    index: IndexOfStreams,
) -> Plan | None:
    """The plan of an append of a few events, or None if the long way is needed.

    Args:
        stream: whose events.
        values: as :class:`~headwater.core.handful.Handful` has them; no null where the stream takes none.
        arrival: of all of them.
        version: of the stream.
        heads: where streams end.
        index: of ids.
    """
    single = version.single
    last, latest = end_of(heads)
    columns = list(values.values())
    n, first = len(columns[0]), last + 1
    whole = single.plain and arrival >= latest and first // WINDOW == (last + n) // WINDOW
    if not whole or list(values) != version.schema.names:
        return None
    offset: Int64 = np.arange(first, first + n)
    ids = {}
    if single.id_place is not None:
        new = _new_ids(columns[single.id_place], offset, index.of(stream), index.seed)
        if new is None:
            return None
        ids[stream] = new
    try:
        record = single.encode_few(n, columns)
    except (struct.error, AttributeError, KeyError, UnicodeError):  # the long way says what it is
        return None
    head = heads.get(stream, EMPTY)
    segment = make_single(
        stream,
        version.number,
        version.codec,
        record,
        head.chain,
        offset=first,
        arrival=arrival,
        times=single.times(columns[single.time_place]),
    )
    heads = {stream: Head(head.events + n, segment.last, arrival, segment.chain)}
    receipt = Receipt(n, 0, 0, first, segment.last, offset, np.full(n, -1), np.zeros(n, np.int8))
    return Plan((segment,), heads, ids, [receipt])


def _new_ids(values: Sequence[int | str], offset: Int64, index: IdIndex, seed: int) -> NewIds | None:
    """The ids for the index; None if one of them may be known, or comes twice."""
    keys = [key_of_value(value, seed) for value in values]
    if len(set(keys)) < len(keys) or any(map(index.holds, keys)):
        return None
    return NewIds(np.array(keys, dtype=np.int64), offset, fresh=True)


def _new_id(id: pl.Series, offset: Int64, index: IdIndex, seed: int) -> NewIds | None:
    """The id for the index; None if it is null, or may be known."""
    if id.null_count():
        return None
    key = key_of(id, seed)
    return None if index.holds(key) else NewIds(np.array([key]), offset, fresh=True)
