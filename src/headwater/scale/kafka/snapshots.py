"""A partition's state on disk: one file a snapshot, named by partition and position.

::

    00003-00000000000000041200.snapshot     partition 3, after 41,200 records of its topics
    "HWKAFKA1" | sha256 of the rest | npz: header.json, engine, and per stream the ids with their digests

Written only behind the commit of the offsets that it stands at, so that a snapshot is never ahead of the
group; the newest whole one that is not ahead, and the records behind it, give the state of any moment. On a
disk that the hosts share, state moves with its partition; else the new owner reads the partition from its
beginning. Called by ``host``, and for the bytes by ``spark.keeping``; the
engine's bytes are those of ``engine.snapshot``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from headwater.core.errors import StoreError
from headwater.definitions.project import Project
from headwater.engine.run import Engine
from headwater.scale.kafka.ids import Ids
from headwater.scale.kafka.partition import Partition
from headwater.serving.scoring import Scoring

MAGIC = b"HWKAFKA1"  # another number whenever the bytes are laid out otherwise
SUFFIX = ".snapshot"
KEEP = 2  # the newest, and one to fall back on


class PartitionSnapshots:
    """The snapshots of a project's partitions.

    Args:
        folder: made at the first save.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, number: int, partition: Partition) -> Path:
        """Write a partition's state; on disk when this returns. Older ones of it are removed.

        Raises:
            StoreError: the disk will not have it; nothing changed then.
        """
        path = self.folder / f"{number:05d}-{sum(partition.positions.values()):020d}{SUFFIX}"
        beside = path.with_suffix(f".{os.getpid()}.new")  # two owners of a moment do not share it
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(dump(partition))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            for old in self.files(number)[KEEP:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise StoreError.of(
                "a snapshot cannot be written",
                got=error.strerror or type(error).__name__,
                where=str(path),
                do="make room, or look at the rights of the folder; the topics alone are enough to go on",
            ) from error
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
            with suppress(StoreError, OSError, ValueError, KeyError, zipfile.BadZipFile):
                found = load(path.read_bytes(), project, scorings)
                if all(place <= committed.get(name, 0) for name, place in found.positions.items()):
                    return found
        return Partition(project, scorings)


def dump(partition: Partition) -> bytes:
    """A partition's state as bytes."""
    header = {"positions": partition.positions}
    arrays: dict[str, np.ndarray] = {
        "header": np.frombuffer(json.dumps(header).encode(), np.uint8),
        "engine": np.frombuffer(partition.engine.snapshot(), np.uint8),
    }
    for stream, ids in partition.ids.items():
        arrays[f"{stream}/keys"], arrays[f"{stream}/digests"] = ids.arrays()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
    body = buffer.getvalue()
    return MAGIC + hashlib.sha256(body).digest() + body


def load(blob: bytes, project: Project, scorings: Mapping[str, Scoring]) -> Partition:
    """The state that was dumped.

    Raises:
        StoreError: it is damaged, or of other definitions.
    """
    body = blob[40:]
    if blob[:8] != MAGIC or hashlib.sha256(body).digest() != blob[8:40]:
        raise StoreError.of("a snapshot of a partition is damaged", do="the topics alone are enough to go on")
    arrays = np.load(io.BytesIO(body))
    positions = json.loads(arrays["header"].tobytes())["positions"]
    engine = Engine.restore(project.views, arrays["engine"].tobytes())
    streams = {view.stream.name: view.stream for view in project.views}
    ids = {
        name: Ids.of(arrays[f"{name}/keys"], arrays[f"{name}/digests"])
        for name, stream in streams.items()
        if stream.id is not None
    }
    return Partition(project, scorings, engine, ids, positions)
