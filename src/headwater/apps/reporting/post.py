"""The report by e-mail: a few lines that say how things are, and the page or the PDF attached.

Goes through the mail server that is set for alerts. Called by ``headwater report --mail`` and by the job
``reports``; read ``alerting.mail`` for how a letter is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from headwater.apps.alerting.channels import ChannelError
from headwater.apps.alerting.mail import Post, letter_of, post_letter
from headwater.apps.alerting.settings import post_of
from headwater.core.errors import DataError, DeliveryError
from headwater.core.instant import SECOND, iso
from headwater.paper.document import Document, Section
from headwater.paper.html import page
from headwater.paper.pdf import need_pdf, pdf

Form = Literal["html", "pdf"]
TO, AS = "HEADWATER_REPORT_MAIL_TO", "HEADWATER_REPORT_MAIL_AS"
_GRAVE = {"alarm": "in alarm", "watch": "to be watched"}


@dataclass(frozen=True, slots=True)
class Mailing:
    """Where reports go, and as what."""

    post: Post
    form: Form


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent: the letter's title, the attachment's name, and its size in bytes."""

    title: str
    file: str
    size: int


def mailing(environ: Mapping[str, str]) -> Mailing:
    """What is set about reports by e-mail.

    Raises:
        DataError: nobody is set who gets them, or a setting cannot be read; never with a secret in it.
        MissingExtraError: a PDF is to be sent, and fpdf2 is not installed.
    """
    if not environ.get(TO):
        raise DataError.of(
            "nobody is set who gets the report",
            expected="mail addresses, with commas between them",
            where=TO,
            do=f"set {TO} and HEADWATER_SMTP_HOST",
        )
    text = environ.get(AS) or "html"
    if text not in ("html", "pdf"):
        raise DataError.of(
            f"the setting {AS} cannot be read",
            expected="html or pdf",
            got=repr(text[:20]),
            where=AS,
            do="correct it, or unset it",
        )
    if text == "pdf":
        need_pdf()
        return Mailing(post_of(environ, TO), "pdf")
    return Mailing(post_of(environ, TO), "html")


def send_report(how: Mailing, document: Document, project: str, *, stop: int, now: int) -> Sent:
    """Send a report to all who get it.

    Args:
        how: where to, and as what.
        document: the report.
        project: its name.
        stop: the first instant after the report's stretch, microseconds UTC.
        now: microseconds UTC.

    Raises:
        DataError: the mail server will not have it, today or later.
        DeliveryError: the mail server cannot be used now.
    """
    last = iso(stop - 1)[:10]
    title = f"[{project}] report to {last}: {_verdict(document)}"
    # The same stretch of the same project is the same letter.
    letter = letter_of(how.post, title, _text(document), name=f"report.{stop // SECOND}", now=now)
    file = f"report-{last}.{how.form}"
    body = pdf(document, stop) if how.form == "pdf" else page(document).encode()
    kind = ("application", "pdf") if how.form == "pdf" else ("text", "html")
    letter.add_attachment(body, maintype=kind[0], subtype=kind[1], filename=file)
    if how.form == "html":
        letter.get_payload()[1].set_param("charset", "utf-8")  # type: ignore[union-attr, index]
    try:
        post_letter(how.post, letter)
    except ChannelError as error:
        made = DeliveryError if error.again else DataError
        raise made.of(
            "the report could not be mailed",
            expected="a mail server that takes it",
            got=error.fault,
            do="look at HEADWATER_SMTP_HOST and what stands beside it, then: headwater report --mail",
        ) from None
    return Sent(title, file, len(body))


def _verdict(document: Document) -> str:
    counts = [(words, len(_of(document, tone))) for tone, words in _GRAVE.items()]
    told = [f"{count} {words}" for words, count in counts if count]
    return ", ".join(told) or "nothing in alarm"


def _text(document: Document) -> str:
    lines = [f"{document.title}, {document.subtitle}", ""]
    lines += [f"{name}: {value}" for name, value in document.facts]
    for tone, words in _GRAVE.items():
        lines += [f"{one.title}: {words}" for one in _of(document, tone)]
    lines += [f"{one.title}: nothing to show. {one.missing}" for one in document.sections if one.missing]
    return "\n".join([*lines, "", "The report is attached."])


def _of(document: Document, tone: str) -> list[Section]:
    return [one for one in document.sections if one.tone == tone and not one.missing]
