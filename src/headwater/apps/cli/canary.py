"""``headwater canary``: let the challenger answer a share of the decisions, see how it does, stop it."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.office import office_of
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.stores import records_of
from headwater.core.errors import DataError
from headwater.definitions.finding import find_model
from headwater.models.canary import checked
from headwater.monitoring.canary import Standing, none_of, standing
from headwater.retraining.canary import CanaryChanged, declare, in_force, stop
from headwater.store.folder import DataFolder
from headwater.store.shadow import ShadowLedger


class _Share(click.ParamType[float]):
    name = "share"

    def convert(self, value: Any, param: object, ctx: object) -> float:  # noqa: ARG002 - click's shape
        return value if isinstance(value, float) else read_share(str(value))


@click.command("canary")
@click.argument("model", required=False)
@click.option("--share", type=_Share(), metavar="SHARE", help="So much of the decisions: 5% or 0.05.")
@click.option("--stop", "stopped", is_flag=True, help="Let the champion decide alone again.")
@click.option("--why", metavar="TEXT", help="The reason, kept in the audit trail.")
@at_workplace
def command(
    work: Workplace, screen: Screen, model: str | None, share: float | None, stopped: bool, why: str | None
) -> None:
    """Let the challenger answer a share of the decisions.

    Without an option, shows the canary beside the champion. Who is on the challenger's side is told by the
    entity's keys and the canary's start: an entity stays on its side, and a larger share only adds entities.
    A running service follows within two seconds. A promotion, a rollback or another challenger ends it. Who
    did what, and why, stands in the audit trail.
    """
    if stopped and share is not None:
        raise click.UsageError("--share and --stop exclude each other")
    if why is not None and not stopped and share is None:
        raise click.UsageError("--why needs --share or --stop")
    chosen = find_model(work.project, model)
    with office_of(work) as office:
        if share is not None:
            _tell(screen, declare(office, chosen, share, why=why))
            return
        if stopped:
            _tell(screen, stop(office, chosen.name, why=why))
            return
        found = in_force(office, chosen.name)
    if found is None:
        told = none_of(chosen.name)
        screen.write(told) if screen.as_json else screen.say(told["words"])
        return
    folder = DataFolder(work.settings.data).make()
    with (
        records_of(work.settings.data, work.settings.database) as records,
        records.decisions() as decisions,
        ShadowLedger.open(folder.shadow) as ledger,
    ):
        stands = standing(decisions, ledger, found)
    if screen.as_json:
        screen.write(stands.to_json())
    else:
        _print(screen, stands)


def read_share(text: str) -> float:
    """A share as people write it, as a number above 0 and at most 1.

    Raises:
        DataError: it is none. A number above 0.99 without the sign is refused too: 1 might mean either.

    Example:
        >>> read_share("5%"), read_share("0.05"), read_share("100 %")
        (0.05, 0.05, 1.0)
    """
    number, sign, rest = text.strip().partition("%")
    try:
        share = float(number) / 100 if sign else float(number)
    except ValueError:
        share = float("nan")
    if rest or share != share or (not sign and share >= 1):
        raise DataError.of(
            "the share cannot be read",
            expected="a share such as 5% or 0.05",
            got=repr(text[:40]),
            where="--share",
            do="write it with the sign, such as 5%",
        )
    return checked(share)


def _tell(screen: Screen, changed: CanaryChanged) -> None:
    if screen.as_json:
        screen.write(changed.to_json())
        return
    screen.say(changed.words, "bold")
    if changed.changed:
        screen.say("It stands in the audit trail: headwater audit trail --action model")


def _print(screen: Screen, stands: Standing) -> None:
    screen.say(stands.words(), "bold")
    sides = (stands.champion, stands.answered)
    heads = ("band", "champion", "canary", "champion's share", "canary's share")
    rows = []
    for band in sorted({band for side in sides for band in side.bands}):
        counts = (f"{side.bands.get(band, 0):,}" for side in sides)
        rows.append((band, *counts, *(_percent(side.share(band)) for side in sides)))
    if rows:
        screen.table(None, heads, rows, numbers=heads[1:])
    for one in stands.compared:
        by, other = "canary", "champion"
        if one.served == stands.canary.champion:
            by, other = other, by
        screen.say(
            f"Of {one.decisions:,} decisions that the {by} answered, {one.flipped:,} would have had another"
            f" band from the {other}."
        )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
