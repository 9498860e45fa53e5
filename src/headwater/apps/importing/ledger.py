"""Which files went into streams without ids: their events cannot be told apart, so a file is taken once.

A file is written down before the first of its events is appended, with the place where the log ended. If the
log still ends there, its import never reached the log. Called by ``run``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headwater.core.errors import DataError, StoreError


class Ledger:
    """Files by their checksum.

    Args:
        path: where the ledger is kept; made if there is none.
        end: the offset at which the log ends now.
        files: stream and path of the files to be imported into streams without ids.
    """

    def __init__(self, path: Path, end: int, files: Sequence[tuple[str, Path]]) -> None:
        self.files = files
        self._path = path
        self._end = end
        self._held = _read(path)
        self._marks = {_mark(stream, file): (stream, file) for stream, file in files if file.is_file()}

    def refuse_repeats(self, again: bool) -> None:
        """Complain of a file that went in before, unless ``again`` says that its events shall count twice.

        Raises:
            DataError: names the first such file.
        """
        for mark, (stream, file) in self._marks.items():
            if not again and mark in self._held and self._end > self._held[mark]["end"]:
                raise DataError.of(
                    f"the file was imported before, and events of {stream} have no id",
                    expected="a new file, or a stream with an id",
                    got=self._held[mark]["file"],
                    where=str(file),
                    do="declare id= in the stream; or say --again if the events shall count twice",
                )

    def note(self) -> None:
        """Write the files down, before the first of their events is appended."""
        if self._marks:
            files = {mark: {"file": str(file), "end": self._end} for mark, (_, file) in self._marks.items()}
            beside = self._path.with_name(self._path.name + ".new")
            beside.write_text(json.dumps({**self._held, **files}, indent=1) + "\n", encoding="utf-8")
            beside.replace(self._path)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        raise StoreError.of(
            "the ledger of imported files is damaged",
            expected="JSON",
            where=str(path),
            do="delete it if you know which files were imported; it guards against importing one twice",
        ) from None


def _mark(stream: str, path: Path) -> str:
    with path.open("rb") as file:
        return f"{stream}:{hashlib.file_digest(file, 'sha256').hexdigest()}"
