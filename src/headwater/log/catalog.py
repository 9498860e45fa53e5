"""The streams of a log: every version of their definitions, and reading old versions as the newest.

A segment names the version it was written in. Read and declared by ``embedded``; used wherever segments
become frames.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import LogError, Problem
from headwater.definitions.stream import Stream
from headwater.log.format import Codec
from headwater.log.format_single import SingleCodec
from headwater.log.schema import StoredSchema
from headwater.log.segments import Segment, read_all


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a stream's definition, by its number in the table ``schemas``."""

    number: int
    codec: Codec
    single: SingleCodec

    @classmethod
    def of(cls, number: int, schema: StoredSchema) -> Version:
        """A version with what reads and writes its events."""
        codec = Codec(schema)
        return cls(number, codec, SingleCodec(codec))

    @property
    def schema(self) -> StoredSchema:
        """The definition."""
        return self.codec.schema


class Catalog:
    """All versions in a log.

    Args:
        connection: to the log.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._versions: dict[int, Version] = {}
        self._newest: dict[str, Version] = {}
        for number, text in connection.execute("SELECT id, definition FROM schemas ORDER BY id"):
            self._know(Version.of(number, StoredSchema.from_json(text)))

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of all streams, sorted."""
        return tuple(sorted(self._newest))

    def newest(self, stream: str) -> Version:
        """The version in force.

        Raises:
            LogError: the log has no such stream.
        """
        if stream not in self._newest:
            raise LogError.of(
                f"the log has no stream {stream!r}",
                expected=", ".join(self.streams) or "a declared stream; there is none yet",
                got=repr(stream),
                do="open the log with the stream's definition: streams=[...]",
            )
        return self._newest[stream]

    def codec(self, number: int) -> Codec:
        """The codec of a version.

        Raises:
            LogError: the log has no such version.
        """
        if number not in self._versions:
            raise LogError.of(
                "a segment names a stream definition that the log does not hold",
                got=f"definition {number}",
                do="restore the log from a copy",
            )
        return self._versions[number].codec

    def changes(self, streams: Iterable[Stream]) -> list[StoredSchema]:
        """What is declared and not in force: new streams and streams that grew.

        Raises:
            LogError: a stream is declared otherwise than its stored events allow; says all that differs.
        """
        declared = [StoredSchema.of(stream) for stream in streams]
        problems: list[Problem] = []
        for schema in declared:
            if schema.stream in self._newest:
                problems += schema.differences(self._newest[schema.stream].schema)
        LogError.raise_if(problems)
        return [
            schema
            for schema in declared
            if schema.stream not in self._newest or self._newest[schema.stream].schema != schema
        ]

    def store(self, connection: sqlite3.Connection, changes: Iterable[StoredSchema]) -> None:
        """Write new versions, inside the caller's transaction."""
        for schema in changes:
            cursor = connection.execute(
                "INSERT INTO schemas (stream, definition) VALUES (?, ?)", (schema.stream, schema.to_json())
            )
            self._know(Version.of(int(cursor.lastrowid or 0), schema))

    def assume(self, changes: Iterable[StoredSchema]) -> None:
        """Read streams as if these versions were stored: for readers that are ahead of the writer."""
        for place, schema in enumerate(changes, 1):
            self._know(Version.of(-place, schema))

    def batch(self, stream: str, segments: Sequence[Segment]) -> Batch:
        """Segments of one stream, ascending, as one batch in the newest version.

        Raises:
            LogError: a segment is damaged.
        """
        newest = self.newest(stream)
        joined = [
            (number, read_all(self.codec(number), list(those)))
            for number, those in groupby(segments, key=attrgetter("schema"))
        ]
        frames = [
            _as_newest(self.codec(number).frame(events.columns), number, newest) for number, events in joined
        ]
        return Batch(
            stream,
            np.concatenate([events.offset for _, events in joined]),
            np.concatenate([events.arrival for _, events in joined]),
            np.concatenate([events.time for _, events in joined]),
            frames[0] if len(frames) == 1 else pl.concat(frames, rechunk=True),
        )

    def _know(self, version: Version) -> None:
        self._versions[version.number] = version
        self._newest[version.schema.stream] = version


def _as_newest(frame: pl.DataFrame, number: int, newest: Version) -> pl.DataFrame:
    """Later columns read null in older events; a grown Enum reads in its newest form."""
    if number == newest.number:
        return frame
    series = []
    for column in newest.schema.columns:
        if column.name not in frame.columns:
            series.append(pl.Series(column.name, [None] * frame.height, dtype=column.dtype))
        elif frame[column.name].dtype != column.dtype:
            series.append(frame[column.name].cast(pl.String).cast(column.dtype))
        else:
            series.append(frame[column.name])
    return pl.DataFrame(series)
