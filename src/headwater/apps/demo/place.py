"""The demo's folder: a project folder like a user's own, which only a demo may clear away again.

::

    demo.json      says that a demo made this folder, and of what; without it nothing is ever removed
    project.py     the project file, to be read and changed
    .headwater/    the data folder: log, snapshots, decisions, models

Called by ``run``.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from headwater.apps.settings import DATA_FOLDER, PROJECT_FILE
from headwater.core.errors import StoreError
from headwater.log.lock import WriterLock
from headwater.store.folder import DataFolder

MARK = "demo.json"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a demo runs."""

    path: Path

    @property
    def project(self) -> Path:
        """The project file."""
        return self.path / PROJECT_FILE

    @property
    def data(self) -> DataFolder:
        """The data folder."""
        return DataFolder(self.path / DATA_FOLDER)


def prepare(folder: str | Path, facts: dict[str, int]) -> Place:
    """Make the folder, or make it anew if an earlier demo made it.

    Args:
        folder: missing, empty, or an earlier demo's.
        facts: what the demo is made of, for the mark.

    Raises:
        StoreError: the folder holds something else, or cannot be written.
        LogError: another demo is running in it.
    """
    place = Place(Path(folder))
    try:
        if place.path.exists() and (not place.path.is_dir() or any(place.path.iterdir())):
            _clear(place)
        place.path.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"made_by": "headwater demo", **facts}, indent=1)
        (place.path / MARK).write_text(text + "\n", encoding="utf-8")
        source = files("headwater.apps.demo").joinpath(PROJECT_FILE)
        place.project.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
        place.data.make()
    except OSError as error:
        raise StoreError.of(
            "the demo cannot write its folder",
            got=error.strerror or type(error).__name__,
            where=str(place.path),
            do="name a folder that may be written: headwater demo --folder FOLDER",
        ) from error
    return place


def _clear(place: Place) -> None:
    """Remove what an earlier demo left, and nothing else."""
    if not _marked(place.path):
        raise StoreError.of(
            "the folder holds something else than a demo",
            expected="a new or empty folder, or that of an earlier demo, which is made anew",
            got=f"a folder without {MARK}" if place.path.is_dir() else "a file",
            where=str(place.path),
            do="name another folder: headwater demo --folder FOLDER",
        )
    if place.data.log.exists():
        WriterLock(place.data.log).release()  # nobody may be writing here
    if place.data.path.exists():
        shutil.rmtree(place.data.path)


def _marked(path: Path) -> bool:
    try:
        mark = json.loads((path / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(mark, dict) and mark.get("made_by") == "headwater demo"
