"""``headwater report``: one page over decisions, freshness, models, late events and alerts."""

from __future__ import annotations

from pathlib import Path

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.watching import FROM, LAST, TO, stretch
from headwater.apps.cli.workplace import Workplace, at_workplace, write_whole
from headwater.apps.reporting.report import make_report
from headwater.core.errors import StoreError
from headwater.core.instant import WEEK, iso
from headwater.paper.document import Document
from headwater.paper.html import page

_USUAL = 4 * WEEK


@click.command("report")
@FROM
@TO
@LAST
@click.option("--out", type=click.Path(path_type=Path), help="The file.  [default: report-<last day>.html]")
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    start: int | None,
    stop: int | None,
    last: int | None,
    out: Path | None,
) -> None:
    """Write one page on how the project is.

    Shows decisions by day and band, freshness, drift, outcomes with retrainings and promotions, champion
    against challenger, fairness, late and dead events, parity and alerts: over the last four weeks, or the
    stretch that is named. The page needs nothing else: it asks for no file and no network. A section whose
    data is missing says why. The same data gives the same page.
    """
    now = work.clock.now()
    begin, end = stretch(start, stop, last, now=now, usual=_USUAL)
    document = make_report(work.settings, begin, end, now=now)
    path = out or Path(f"report-{iso(end - 1)[:10]}.html")
    write_file(path, page(document))
    if screen.as_json:
        screen.write(summary(document, path))
        return
    screen.say(f"The report on {document.subtitle} is in {path}.")
    for section in document.sections:
        if section.missing is not None:
            screen.note(f"{section.title}: {section.missing}")


def summary(document: Document, path: Path | None) -> dict[str, object]:
    """Which sections there are, and what they lack, as plain JSON values."""
    sections = [
        {"id": one.id, "title": one.title, "tone": one.tone, "missing": one.missing}
        for one in document.sections
    ]
    return {"file": None if path is None else str(path), "title": document.title, "sections": sections}


def write_file(path: Path, text: str) -> None:
    """Write a file whole.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        write_whole(path, text)
    except OSError as error:
        raise StoreError.of(
            "the file cannot be written",
            got=error.strerror or type(error).__name__,
            where=str(path),
            do="name another file with --out",
        ) from None
