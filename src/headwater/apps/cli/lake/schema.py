"""``headwater lake schema``: the reference of the tables, made from the definition."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.lake.shore import with_lake
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.lakes import LakeSettings
from headwater.apps.settings import environment
from headwater.scale.lake.decided import decisions_table
from headwater.scale.lake.source import events_table
from headwater.scale.lake.table import nameable, titles


@click.command("schema")
@with_lake
@at_workplace
def command(work: Workplace, screen: Screen, **options: Any) -> None:
    """Print the reference of the lake's tables.

    Follows from the project file alone, as Markdown; with --json as data, which is also what lies beside the
    rows, in _lake.json.
    """
    how = LakeSettings.read(environment(), work.settings.data, **options)
    tables = [events_table(one, how.private, how.unit) for one in work.project.streams]
    tables += [decisions_table(one, how.private, how.unit) for one in work.project.policies]
    for table in tables:
        nameable(table)
    if screen.as_json:
        screen.write({"tables": [table.to_json() for table in tables]})
    else:
        screen.say(titles(tables))
