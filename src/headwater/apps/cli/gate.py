"""``headwater gate``: a candidate against the champion, check by check."""

from __future__ import annotations

import time
from pathlib import Path

import click

from headwater.apps.cli.exits import Exit
from headwater.apps.cli.models import registry_of
from headwater.apps.cli.office import as_of, print_report, read_rules
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.definitions.finding import find_model
from headwater.models.registry import CHALLENGER
from headwater.retraining.gate import gate
from headwater.store.folder import DataFolder
from headwater.store.shadow import ShadowLedger


@click.command("gate")
@click.argument("model", required=False)
@click.option(
    "--version",
    "which",
    metavar="WHICH",
    default=CHALLENGER,
    show_default=True,
    help="The candidate's number or alias.",
)
@click.option(
    "--as-of",
    "moment",
    metavar="TIME",
    help="Outcomes known by then count.  [default: the newest arrival]",
)
@click.option(
    "--rules",
    "file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Other bounds and costs, as JSON.",
)
@click.option("--no-keep", is_flag=True, help="Keep no report; a promotion will not find it.")
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    model: str | None,
    which: str,
    moment: str | None,
    file: Path | None,
    no_keep: bool,
) -> None:
    """Hold a candidate against the champion.

    Both are judged on the same matured outcomes that neither has learned from: better or not worse,
    calibration, slices, fairness, flips of standing decisions, reasons, latency. Promotes nothing; ends with
    exit code 10 where the candidate is held. Without a champion, absolute bounds count.
    """
    chosen = find_model(work.project, model)
    now = work.clock.now()
    folder = DataFolder(work.settings.data).make()
    with (
        work.reading() as log,
        ShadowLedger.open(folder.shadow) as shadow,
        screen.progress(one_bar=True) as progress,
    ):
        until = as_of(moment, now, log)
        report = gate(
            work.project,
            chosen.name,
            log,
            registry_of(work),
            as_of=until,
            now=now,
            which=int(which) if which.isdecimal() else which,
            rules=read_rules(file),
            ticks=time.perf_counter_ns,
            progress=progress,
            keep=not no_keep,
            shadow=lambda digest: shadow.summaries(model=chosen.name, challenger=digest, until=now),
        )
    if screen.as_json:
        screen.write({**report.to_json(), "report": report.digest})
    else:
        print_report(screen, report)
        if report.verdict == "promote" and not no_keep:
            screen.say(f"Next: headwater promote {report.model}")
    if report.verdict == "hold":
        raise click.exceptions.Exit(Exit.HELD)
