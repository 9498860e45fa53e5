"""Decision records as the command line meets them. Called by ``replay``, ``backtest`` and ``late``.

What decided is found in the data folder, by the hashes in the record: the project file may have changed
since, or be gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import click

from headwater.apps.archive import Archive, Exchange, read_exchange
from headwater.apps.cli.models import registry_of
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace
from headwater.apps.masking import masked, personal_inputs
from headwater.apps.stores import records_of
from headwater.core.errors import StoreError
from headwater.definitions.loading import FILE
from headwater.definitions.project import Project
from headwater.definitions.restoring import restored_project
from headwater.log.embedded import EmbeddedLog
from headwater.store.definitions import DefinitionStore
from headwater.store.folder import DataFolder
from headwater.store.protocol import Decisions

DEFINITIONS = click.option(
    "--definitions",
    metavar="FILE|HASH",
    help="Another project file, the hash of kept definitions, or `current`: as --with definitions=.",
)
WITH = click.option(
    "--with",
    "exchange",
    metavar="PART=OTHER",
    multiple=True,
    help="model=WHICH, policy=NAME or definitions=FILE, in place of the decision's own. Repeatable.",
)
PERSONAL = click.option("--show-personal", is_flag=True, help="Show values that are declared personal.")


def archive_of(work: Workplace) -> Archive:
    """The models and policies of the project's past; open until the command ends.

    Raises:
        ModelError: the registry cannot be opened.
        StoreError: the kept definitions cannot.
    """
    return Archive(work.project, registry_of(work), kept_of(work))


def kept_of(work: Workplace) -> DefinitionStore | None:
    """The definitions that were ever in force, open until the command ends; None if none were kept.

    Raises:
        StoreError: they cannot be opened.
    """
    path = DataFolder(work.settings.data).definitions
    if not path.is_file():
        return None
    kept = DefinitionStore.open(path)
    click.get_current_context().call_on_close(kept.close)
    return kept


class _FromFolder(Workplace):
    """A workplace without a project file: its definitions are those that were kept last."""

    @cached_property
    def project(self) -> Project:
        """The newest project that the data folder has kept."""
        kept = kept_of(self)
        return restored_project((kept.all("project") if kept else [])[-1].form)

    @contextmanager
    def reading(self) -> Iterator[EmbeddedLog]:
        """The log as it is: canonical forms do not say in which order a stream's columns stand."""
        with self.bare_log() as log:
            yield log


def of_folder(work: Workplace, screen: Screen) -> Workplace:
    """The workplace, or one without a project file where there is none but definitions are kept.

    Raises:
        StoreError: the kept definitions cannot be opened.
    """
    file = work.settings.project
    if file.is_file() or (file / FILE).is_file():
        return work
    kept = kept_of(work)
    if kept is None or not kept.all("project"):
        return work
    screen.note(f"there is no project file {file}; the definitions are those that the data folder keeps")
    return _FromFolder(work.settings, work.clock)


def exchange_of(texts: Sequence[str], definitions: str | None) -> Exchange:
    """What ``--with`` and ``--definitions`` say."""
    return read_exchange([*texts, *([] if definitions is None else [f"definitions={definitions}"])])


@contextmanager
def decisions_of(work: Workplace) -> Iterator[Decisions]:
    """The decision records.

    Raises:
        StoreError: there are none, or they cannot be opened.
    """
    with records_of(work.settings.data, work.settings.database) as records:
        if not records.decided():
            raise StoreError.of(
                "nothing was decided yet",
                where=str(DataFolder(work.settings.data).decisions),
                do="serve the project and ask for decisions first; or name the data folder with --data",
            )
        with records.decisions() as store:
            yield store


class Hidden:
    """Which values of which model a command may not show.

    Args:
        project: says what is personal.
        show: show it all the same.
    """

    def __init__(self, project: Project, *, show: bool) -> None:
        self._of = {} if show else {model.name: personal_inputs(model) for model in project.models}

    def inputs(self, model: str) -> set[str]:
        """The inputs and keys that are hidden."""
        return self._of.get(model, set())

    def keys(self, model: str, keys: Mapping[str, Any]) -> dict[str, Any]:
        """An entity's keys, masked where they must be."""
        return {name: masked(name, value, self.inputs(model)) for name, value in keys.items()}


def keys_text(keys: Mapping[str, Any]) -> str:
    """An entity's keys for people.

    Example:
        >>> keys_text({"account_id": 7})
        'account_id 7'
    """
    return ", ".join(f"{name} {value}" for name, value in keys.items())
