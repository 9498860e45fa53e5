"""Decision records as the command line meets them. Called by ``replay``, ``backtest`` and ``late``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from headwater.apps.archive import Archive
from headwater.apps.cli.models import registry_of
from headwater.apps.cli.workplace import Workplace
from headwater.apps.masking import masked, personal_inputs
from headwater.core.errors import StoreError
from headwater.definitions.project import Project
from headwater.store.decisions import DecisionStore
from headwater.store.folder import DataFolder

WITH = click.option(
    "--with",
    "exchange",
    metavar="PART=OTHER",
    multiple=True,
    help="model=WHICH, policy=NAME or definitions=FILE, in place of the decision's own. Repeatable.",
)
PERSONAL = click.option("--show-personal", is_flag=True, help="Show values that are declared personal.")


def archive_of(work: Workplace) -> Archive:
    """The models and policies of the project's past.

    Raises:
        ModelError: the registry cannot be opened.
    """
    return Archive(work.project, registry_of(work))


@contextmanager
def decisions_of(work: Workplace) -> Iterator[DecisionStore]:
    """The decision records.

    Raises:
        StoreError: there are none, or they cannot be opened.
    """
    path = DataFolder(work.settings.data).decisions
    if not path.is_file():
        raise StoreError.of(
            "nothing was decided yet",
            where=str(path),
            do="serve the project and ask for decisions first; or name the data folder with --data",
        )
    with DecisionStore.open(path) as store:
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
