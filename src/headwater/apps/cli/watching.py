"""What the commands that watch have in common: their options, their place, and the stretch that they look at.

Called by ``drift``, ``outcomes``, ``fairness`` and ``alerts``.
"""

from __future__ import annotations

import click

from headwater.apps.cli.moments import MOMENT, SPAN
from headwater.apps.cli.workplace import Workplace
from headwater.apps.watching.place import Place
from headwater.core.errors import DataError
from headwater.core.instant import HOUR, iso
from headwater.models.registry import CHAMPION
from headwater.store.folder import DataFolder

FROM = click.option("--from", "start", type=MOMENT, help="The stretch begins here.")
TO = click.option("--to", "stop", type=MOMENT, help="It ends before here.  [default: the last full hour]")
LAST = click.option("--last", type=SPAN, help="It is so long, such as 7d; in place of --from.")
REPLAY = click.option(
    "--replay", is_flag=True, help="Look at the log's observations, by replay, not at decisions."
)
VERSION = click.option(
    "--version",
    "which",
    metavar="WHICH",
    default=CHAMPION,
    show_default=True,
    help="A version's number or alias.",
)
NOT_KEPT = click.option("--no-keep", is_flag=True, help="Do not keep the report in the data folder.")


def place_of(work: Workplace) -> Place:
    """The project, its data folder and its registry."""
    settings = work.settings
    return Place(DataFolder(settings.data), work.project, settings.tracking_uri, settings.database)


def stretch(
    start: int | None, stop: int | None, last: int | None, *, now: int, usual: int
) -> tuple[int, int]:
    """The stretch that options name, microseconds.

    Args:
        start: ``--from``.
        stop: ``--to``; the last full hour if it is not given, so that asking twice gives the same.
        last: ``--last``.
        now: microseconds UTC.
        usual: how long it is if neither says.

    Raises:
        UsageError: both --from and --last are given.
        DataError: it ends before it begins.
    """
    if start is not None and last is not None:
        raise click.UsageError("--from and --last say the same; give one of them")
    end = now // HOUR * HOUR if stop is None else stop
    begin = end - (last or usual) if start is None else start
    if begin >= end:
        raise DataError.of(
            "a stretch of time ends before it begins",
            expected="--from before --to",
            got=f"{iso(begin)} to {iso(end)}",
            do="exchange them, or name other times",
        )
    return begin, end


def number_or_alias(which: str) -> int | str:
    """A version as the registry takes it."""
    return int(which) if which.isdecimal() else which
