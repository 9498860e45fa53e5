"""The buckets that a worker has in memory, and how they are built again from what Spark keeps.

A bucket is a partition of Kafka: the entities whose events lie there. Its state is ``scale.kafka.partition``,
a function of its records alone, so what is held in memory between two micro-batches is only a copy: it is
used if it stands where Spark's state says that it must, and else thrown away. Spark's state is a snapshot and
the records behind it; a snapshot is written when these have grown to its own size, so that what is written
stays in proportion to the events, however large the state is. Called by ``keeper``, in the workers.
"""

from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pandas as pd

from headwater.core.errors import StoreError
from headwater.definitions.project import Project
from headwater.scale.kafka import out
from headwater.scale.kafka.partition import Effect, Partition
from headwater.scale.kafka.payloads.reading import Record
from headwater.scale.kafka.snapshots import dump, load
from headwater.scale.redis.moved import Keys, Moved
from headwater.scale.spark.publishing import Publisher, Publishing
from headwater.serving.scoring import Scoring

HELD = 256  # buckets that a worker has in memory

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[tuple[int, int, bytes]]).decode

COLUMNS = ("bucket", "stream", "kind", "offset", "name", "value")


class State(Protocol):
    """What Spark keeps of a bucket: ``keeper.Keeper`` while a bucket is its turn."""

    place: Any
    snapshot: Any
    behind: Any
    online: Any
    least: int


@lru_cache(maxsize=2)
def keeping(work: str) -> Keeping:
    """The buckets of one query; what is pickled is what this project's own driver sent."""
    project, scorings, online = pickle.loads(Path(work).read_bytes())  # noqa: S301 - our driver wrote it
    return Keeping(project, scorings, online)


class Keeping:
    """Buckets of a project.

    Args:
        project: the definitions.
        scorings: model to its version.
        online: where the buckets are published, if anywhere.
    """

    def __init__(
        self, project: Project, scorings: Mapping[str, Scoring], online: Publishing | None = None
    ) -> None:
        self._project = project
        self._publisher = None if online is None else Publisher(online, project)
        self._scorings = scorings
        self._streams = {f"{project.name}.{view.stream.name}": view.stream.name for view in project.views}
        self._live: OrderedDict[int, Partition] = OrderedDict()

    def turn(self, number: int, frames: Sequence[pd.DataFrame], state: State) -> pd.DataFrame:
        """Take in a bucket's records of a micro-batch, keep them, and tell what they did.

        Raises:
            StoreError: what Spark keeps is damaged, or of other definitions.
            FencedError: another publishes the bucket.
        """
        records = self._sorted(frames)
        positions, behind, kept = self.place(state)
        partition = self.bucket(number, positions, state)
        rows: list[tuple[Any, ...]] = []
        self._live.pop(number, None)  # until it is whole: a task may be killed in the middle
        moved = Moved()
        partition.on_taken = moved.add
        for stream, some in records.items():
            effect = partition.take(stream, some)
            rows += _told(number, stream, some, effect)
            packed = _pack([(one.offset, one.arrival, one.value) for one in some])
            state.behind.appendValue((stream, packed))
            behind += len(packed)
        if behind > max(state.least, kept):
            blob = dump(partition)
            state.snapshot.update((blob,))
            state.behind.clear()
            behind, kept = 0, len(blob)
        state.place.update((json.dumps(partition.positions), behind, kept))
        rows += self._published(number, partition, moved, state)
        self._live[number] = partition
        while len(self._live) > HELD:
            self._live.popitem(last=False)
        return pd.DataFrame(rows, columns=COLUMNS).astype({"bucket": "int32", "offset": "int64"})

    def _published(
        self, number: int, partition: Partition, moved: Moved, state: State
    ) -> Iterator[tuple[Any, ...]]:
        """Publish what moved, and keep what the next batch has to know; a row if Redis does not answer."""
        if self._publisher is None:
            return
        keys: dict[str, Keys] = {}
        moved.take(self._project.views, keys)
        before = state.online.get()[0] if state.online.exists() else ""
        after, fault = self._publisher.turn(number, partition, keys, before)
        state.online.update((after,))
        if fault is not None:
            yield (
                number,
                "",
                "fault",
                0,
                b"",
                f"{type(fault).__module__}.{type(fault).__name__}: {fault}".encode(),
            )

    def _sorted(self, frames: Sequence[pd.DataFrame]) -> dict[str, list[Record]]:
        """Records by stream in the project's order, each in the order of its topic."""
        found: dict[str, list[Record]] = {stream: [] for stream in self._streams.values()}
        for frame in frames:
            columns = (frame[name].tolist() for name in ("topic", "offset", "arrival", "value"))
            for topic, offset, arrival, value in zip(*columns, strict=True):
                if topic in self._streams:  # else it is a call, to publish what there is
                    found[self._streams[topic]].append(Record(offset, arrival, bytes(value or b"")))
        for some in found.values():
            some.sort(key=lambda record: record.offset)
        return {stream: some for stream, some in found.items() if some}

    def place(self, state: State) -> tuple[dict[str, int], int, int]:
        """Where a bucket stands: positions, bytes behind the snapshot, bytes of the snapshot."""
        if not state.place.exists():
            return dict.fromkeys(self._streams.values(), 0), 0, 0
        positions, behind, kept = state.place.get()
        return json.loads(positions), behind, kept

    def bucket(self, number: int, positions: Mapping[str, int], state: State) -> Partition:
        """The bucket where Spark's state stands: the copy in memory, or built again.

        Raises:
            StoreError: what Spark keeps is damaged, or of other definitions.
        """
        live = self._live.get(number)
        if live is not None and live.positions == positions:
            return live
        partition = self._restored(number, state)
        for stream, packed in state.behind.get():
            records = [Record(*one) for one in _unpack(packed)]
            partition.take(stream, records, quiet=True)
        if partition.positions != positions:
            raise StoreError.of(
                f"the state of bucket {number} does not stand where it should",
                expected=json.dumps(dict(positions)),
                got=json.dumps(partition.positions),
                do="begin with a new checkpoint; the topics alone are enough, and nothing is told twice",
            )
        return partition

    def _restored(self, number: int, state: State) -> Partition:
        if not state.snapshot.exists():
            return Partition(self._project, self._scorings)
        try:
            return load(bytes(state.snapshot.get()[0]), self._project, self._scorings)
        except (StoreError, KeyError, ValueError) as error:
            raise StoreError.of(
                f"the state of bucket {number} cannot be read",
                expected="a checkpoint of these definitions",
                got=str(error).splitlines()[0],
                do="begin with a new checkpoint; the topics alone are enough, and nothing is told twice",
            ) from error


def _told(number: int, stream: str, records: Sequence[Record], effect: Effect) -> Iterator[tuple[Any, ...]]:
    """What goes out, and at its end the count of it."""
    for one in effect.rescored:
        for place, (name, value) in zip(one.offset.tolist(), out.scores(one, number), strict=True):
            yield number, stream, "score", place, name, value
    for letter, (name, value) in zip(effect.letters, out.letters(effect.letters, number), strict=True):
        yield number, stream, "letter", letter.offset, name, value
    count = {"records": len(records), "events": effect.events, "duplicates": effect.duplicates}
    count |= {"refused": len(effect.letters), "scores": sum(len(one) for one in effect.rescored)}
    yield number, stream, "end", records[-1].offset + 1, b"", json.dumps(count).encode()
