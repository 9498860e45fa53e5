"""``headwater report``: one page over decisions, freshness, models, late events and alerts."""

from __future__ import annotations

from pathlib import Path

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.watching import FROM, LAST, TO, stretch
from headwater.apps.cli.workplace import Workplace, at_workplace, write_whole
from headwater.apps.reporting.post import mailing, send_report
from headwater.apps.reporting.report import USUAL, make_report
from headwater.apps.settings import environment
from headwater.core.errors import StoreError
from headwater.core.instant import iso
from headwater.paper.document import Document
from headwater.paper.html import page
from headwater.paper.pdf import need_pdf, pdf


@click.command("report")
@FROM
@TO
@LAST
@click.option("--out", type=click.Path(path_type=Path), help="The file.  [default: report-<last day>.html]")
@click.option(
    "--pdf", "pdf_out", type=click.Path(path_type=Path), help="Write a PDF to this file instead of a page."
)
@click.option("--mail", is_flag=True, help="Mail it to those who are set; write a file only if one is named.")
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    start: int | None,
    stop: int | None,
    last: int | None,
    out: Path | None,
    pdf_out: Path | None,
    *,
    mail: bool,
) -> None:
    """Write one page on how the project is, as HTML or PDF, or mail it.

    Shows decisions by day and band, freshness, drift, outcomes with retrainings and promotions, champion
    against challenger, fairness, late and dead events, parity and alerts: over the last four weeks, or the
    stretch that is named. The page needs nothing else: it asks for no file and no network. A section whose
    data is missing says why. The same data gives the same page. --mail goes through the mail server that is
    set for alerts, to HEADWATER_REPORT_MAIL_TO.
    """
    if pdf_out is not None:
        need_pdf()
    how = mailing(environment()) if mail else None
    now = work.clock.now()
    begin, end = stretch(start, stop, last, now=now, usual=USUAL)
    document = make_report(work.settings, begin, end, now=now)
    if out is None and pdf_out is None and how is None:
        out = Path(f"report-{iso(end - 1)[:10]}.html")
    files: list[Path] = []
    if out is not None:
        write_file(out, page(document))
        files.append(out)
    if pdf_out is not None:
        write_file(pdf_out, pdf(document, end), option="--pdf")
        files.append(pdf_out)
    sent = None if how is None else send_report(how, document, work.project.name, stop=end, now=now)
    if screen.as_json:
        told = summary(document, files[0] if files else None) | {"files": [str(one) for one in files]}
        screen.write(told | {"mailed": None if sent is None else sent.file})
        return
    for path in files:
        screen.say(f"The report on {document.subtitle} is in {path}.")
    if how is not None and sent is not None:
        screen.say(f"The report on {document.subtitle} was mailed to {len(how.post.to):,}: {sent.title}")
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


def write_file(path: Path, content: str | bytes, *, option: str = "--out") -> None:
    """Write a file whole.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise StoreError.of(
            "the file cannot be written",
            got=error.strerror or type(error).__name__,
            where=str(path),
            do=f"name another file with {option}",
        ) from None
