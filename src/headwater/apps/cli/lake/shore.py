"""What the commands of ``headwater lake`` share: their options, the open lake, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace
from headwater.apps.lakes import FORMS, MODES, UNITS, Lake, LakeSettings, lake_of
from headwater.apps.settings import environment
from headwater.scale.lake.export import Exported

_OPTIONS = (
    click.option(
        "--lake", "place", metavar="FOLDER", help="Where it is.  [default: lake in the data folder]"
    ),
    click.option("--format", "form", type=click.Choice(FORMS), help="Of its tables.  [default: parquet]"),
    click.option(
        "--personal", type=click.Choice(MODES), help="What becomes of personal values.  [default: omit]"
    ),
    click.option("--by", type=click.Choice(UNITS), help="How long a partition is.  [default: day]"),
)


def with_lake(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where the lake is and how it is written."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextmanager
def opened(work: Workplace, options: dict[str, Any]) -> Iterator[Lake]:
    """The project's lake, as the options and the environment say.

    Raises:
        LogError: there is no event log yet.
        DataError: a setting cannot be read.
    """
    settings = LakeSettings.read(environment(), work.settings.data, **options)
    with work.reading():
        pass
    with lake_of(work.project, work.settings, settings) as lake:
        yield lake


def plain(done: Sequence[Exported]) -> list[dict[str, Any]]:
    """What an export did, as plain values."""
    return [{"table": one.table, "rows": one.rows, "files": one.files, "reaches": one.place} for one in done]


def show(screen: Screen, lake: Lake, tables: Sequence[dict[str, Any]]) -> None:
    """What an export did."""
    if screen.as_json:
        screen.write({"lake": lake.settings.place, "format": lake.settings.form, "tables": tables})
        return
    columns = list(tables[0])
    rows = [list(one.values()) for one in tables]
    screen.table(f"Exported to {lake.settings.place}", columns, rows, columns[1:])
