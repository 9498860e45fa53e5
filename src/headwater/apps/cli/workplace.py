"""What a command works in: the settings, the project, its log, the clock, and the options that name them.

``at_workplace`` gives a command the options ``--project``, ``--data`` and ``--json``; ``reading`` and
``writing`` open the log with a letter that a user of the command line understands. Called by every command
but ``init`` and ``demo``.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.masking import Mask
from headwater.apps.settings import Settings
from headwater.core.clock import Clock, SystemClock
from headwater.core.errors import DefinitionError, LogError, StoreError
from headwater.definitions.compile import compiled, hash_of
from headwater.definitions.loading import load_project
from headwater.definitions.project import Project
from headwater.log.embedded import EmbeddedLog
from headwater.store.definitions import DefinitionStore
from headwater.store.folder import DataFolder

JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
_PROJECT = click.option(
    "--project", metavar="FILE", help="The project file, or its folder.  [default: project.py]"
)
_DATA = click.option(
    "--data", metavar="FOLDER", help="The data folder.  [default: .headwater beside the project]"
)


class Workplace:
    """A project with its data folder.

    Args:
        settings: as read from options and environment.
        clock: tells now.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()

    @cached_property
    def project(self) -> Project:
        """The project, loaded from its file once.

        Raises:
            DefinitionError: whatever is wrong with the file.
        """
        return load_project(self.settings.project)

    @contextmanager
    def reading(self) -> Iterator[EmbeddedLog]:
        """The log, for reading, with the project's streams.

        Raises:
            LogError: there is none, it is damaged, or a stream is declared otherwise than it was.
        """
        self._need_log()
        with EmbeddedLog.open(self.settings.log, self.project.streams, writer=False) as log:
            yield log

    @contextmanager
    def bare_log(self, *, writer: bool = False) -> Iterator[EmbeddedLog]:
        """The log as it is, without a project.

        Raises:
            LogError: there is none, or it is damaged.
        """
        self._need_log()
        with EmbeddedLog.open(self.settings.log, writer=writer) as log:
            yield log

    def mask(self, log: EmbeddedLog) -> Mask:
        """What is personal in a log: by itself, and by the project if that can be loaded."""
        try:
            project = self.project
        except DefinitionError:
            project = None
        return Mask.of_log(log, project)

    @contextmanager
    def writing(self) -> Iterator[EmbeddedLog]:
        """The log, for writing; made if there is none.

        Raises:
            LogError: another process writes, it is damaged, or a stream is declared otherwise than it was.
        """
        streams = self.project.streams
        self.settings.data.mkdir(parents=True, exist_ok=True)
        with EmbeddedLog.open(self.settings.log, streams, max_bytes=self.settings.log_bytes) as log:
            yield log

    def applied(self) -> Mapping[str, Any] | None:
        """The compiled definitions that were in force at the last import or training; None before the first.

        Raises:
            StoreError: the file is damaged.
        """
        path = self.settings.applied
        if not path.is_file():
            return None
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            if hash_of(held["definition"]) == held["hash"]:
                return dict(held["definition"])
        except (ValueError, KeyError, TypeError):
            pass
        raise StoreError.of(
            "the note of the definitions in force is damaged",
            expected="the definitions and their hash, as JSON",
            where=str(path),
            do="delete the file; the next import or training writes it anew",
        )

    def apply(self) -> None:
        """Note the project's definitions as those in force, and keep them for good."""
        with DefinitionStore.open(DataFolder(self.settings.data).definitions) as kept:
            kept.keep(self.project, now=self.clock.now())
        definition = compiled(self.project)
        text = json.dumps({"hash": hash_of(definition), "definition": definition}, indent=1, sort_keys=True)
        write_whole(self.settings.applied, text + "\n")

    def _need_log(self) -> None:
        if not self.settings.log.is_file():
            raise LogError.of(
                "there is no event log yet",
                where=str(self.settings.log),
                do="bring events in first: headwater import stream=file; or name the folder with --data",
            )


def write_whole(path: Any, content: str | bytes) -> None:
    """Write a file so that a reader finds the old content or the new one, and never a part."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def at_workplace(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command its options, and call it with a :class:`Workplace` and a :class:`Screen`."""

    @_PROJECT
    @_DATA
    @JSON
    @functools.wraps(function)
    def command(project: str | None, data: str | None, as_json: bool, **options: Any) -> None:
        settings = Settings.read(project=project, data=data)
        function(Workplace(settings), Screen(as_json=as_json), **options)

    return command
