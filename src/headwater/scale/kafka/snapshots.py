"""A partition's state on disk: one file a snapshot, named by partition and position.

::

    00003-00000000000000041200.snapshot     partition 3, after 41,200 records of its topics
    "HWKAFKA2" | sha256 of the rest | length of the header | header | engine | per stream ids and digests

Written only behind the commit of the offsets that it stands at, so that a snapshot is never ahead of the
group; the newest whole one that is not ahead, and the records behind it, give the state of any moment. On a
disk that the hosts share, state moves with its partition; else the new owner reads the partition from its
beginning. Called by ``host``, and for the bytes by ``spark.keeping``; the
engine's bytes are those of ``engine.snapshot``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from headwater.core.errors import StoreError
from headwater.definitions.project import Project
from headwater.engine.run import Engine
from headwater.scale.kafka.ids import Ids, Int64
from headwater.scale.kafka.partition import Partition
from headwater.scale.kafka.payloads.registry import Registry
from headwater.serving.scoring import Scoring
from headwater.store.whole import UNDONE, remove, write_whole

MAGIC = b"HWKAFKA2"  # another number whenever the bytes are laid out otherwise
SUFFIX = ".snapshot"
KEEP = 2  # the newest, and one to fall back on


class PartitionSnapshots:
    """The snapshots of a project's partitions.

    Args:
        folder: made at the first save.
        registry: where schemas are registered, for the partitions that are restored.
    """

    def __init__(self, folder: Path, registry: Registry | None = None) -> None:
        self.folder = folder
        self._registry = registry

    def save(self, number: int, place: int, pieces: Sequence[bytes | memoryview]) -> Path:
        """Write a partition's state; on disk when this returns. Older ones of it are removed.

        Args:
            number: which partition.
            place: how many records of its topics it has taken in.
            pieces: from :func:`capture`.

        Raises:
            StoreError: the disk will not have it; nothing changed then.
        """
        path = self.folder / f"{number:05d}-{place:020d}{SUFFIX}"
        do = "make room, or look at the rights of the folder; the topics alone are enough to go on"
        write_whole(path, sealed(pieces), left=f"{number:05d}-*{UNDONE}", do=do)
        remove(self.files(number)[KEEP:])
        return path

    def files(self, number: int) -> list[Path]:
        """The files of a partition, the newest first."""
        return sorted(self.folder.glob(f"{number:05d}-*{SUFFIX}"), reverse=True)

    def newest(
        self,
        number: int,
        project: Project,
        scorings: Mapping[str, Scoring],
        committed: Mapping[str, int],
    ) -> Partition:
        """A partition's state from its newest whole snapshot that is not ahead of the group, or an empty one.

        Args:
            number: which partition.
            project: the definitions; a snapshot of others is passed over.
            scorings: model to its version.
            committed: stream to the offset that the group has committed.
        """
        for path in self.files(number):
            with suppress(StoreError, OSError, ValueError, KeyError):
                found = load(path.read_bytes(), project, scorings, self._registry)
                if all(place <= committed.get(name, 0) for name, place in found.positions.items()):
                    return found
        return Partition(project, scorings, registry=self._registry)


def capture(partition: Partition) -> list[bytes | memoryview]:
    """A partition's state as it is now, copied: to be written while the partition goes on."""
    arrays: dict[str, bytes | memoryview] = {"engine": partition.engine.snapshot()}
    for stream, ids in partition.ids.items():
        for name, array in zip(("keys", "digests"), ids.arrays(), strict=True):
            arrays[f"{stream}/{name}"] = array.tobytes()
    parts = [[name, len(blob)] for name, blob in arrays.items()]
    header = json.dumps({"positions": partition.positions, "parts": parts}).encode()
    return [len(header).to_bytes(8, "little"), header, *arrays.values()]


def sealed(pieces: Sequence[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """What was captured as a file has it."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    yield MAGIC + digest.digest()
    yield from pieces


def dump(partition: Partition) -> bytes:
    """A partition's state as bytes."""
    return b"".join(sealed(capture(partition)))


def load(
    blob: bytes, project: Project, scorings: Mapping[str, Scoring], registry: Registry | None = None
) -> Partition:
    """The state that was dumped.

    Raises:
        StoreError: it is damaged, or of other definitions.
    """
    body = memoryview(blob)[40:]
    if blob[:8] != MAGIC or hashlib.sha256(body).digest() != blob[8:40]:
        raise StoreError.of("a snapshot of a partition is damaged", do="the topics alone are enough to go on")
    start = 8 + int.from_bytes(body[:8], "little")
    header = json.loads(bytes(body[8:start]))
    parts: dict[str, memoryview] = {}
    for name, length in header["parts"]:
        parts[name] = body[start : start + length]
        start += length
    engine = Engine.restore(project.views, bytes(parts["engine"]))
    streams = {view.stream.name: view.stream for view in project.views}
    ids = {
        name: Ids.of(_integers(parts[f"{name}/keys"]), _integers(parts[f"{name}/digests"]))
        for name, stream in streams.items()
        if stream.id is not None
    }
    return Partition(project, scorings, engine, ids, header["positions"], registry)


def _integers(blob: memoryview) -> Int64:
    return np.frombuffer(blob, dtype=np.int64)
