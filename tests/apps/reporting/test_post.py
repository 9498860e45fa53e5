"""The report by e-mail, through a real mail server on this machine, as a page and as a PDF."""

from __future__ import annotations

from email import message_from_string
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from headwater.apps.alerting.settings import post_of
from headwater.apps.reporting.post import TO, Mailing, Sent, mailing, send_report
from headwater.core.errors import DataError, DeliveryError
from headwater.core.instant import DAY, instant
from headwater.paper.document import Document, Section
from headwater.paper.html import page
from tests.apps.alerting.receivers import MailServer, mail_server
from tests.apps.cli.conftest import Headwater

STOP = instant("2026-05-22T00:00:00Z")
WEEK = ("--from", "2026-05-15", "--to", "2026-05-22")
EVIL = "a <script>alert(1)</script>\r\nBcc: x@evil.example"


def document() -> Document:
    sections = (
        Section("drift", "Drift", tone="alarm"),
        Section("events", "Late and dead events", tone="watch"),
        Section("parity", "Parity", missing="Nothing was compared yet. To do: run a server."),
    )
    return Document("Headwater: bank", "2026-05-01 to 2026-05-22 UTC", (("risk", EVIL),), sections)


def settings(server: MailServer, **more: str) -> dict[str, str]:
    return {
        TO: "risk@bank.example, ops@bank.example",
        "HEADWATER_ALERT_MAIL_FROM": "Headwater <headwater@bank.example>",
        "HEADWATER_SMTP_HOST": "127.0.0.1",
        "HEADWATER_SMTP_PORT": str(server.port),
        "HEADWATER_SMTP_CA": str(server.certificate),
    } | more


def sent(server: MailServer, how: Mailing, *, now: int = STOP) -> tuple[Sent, EmailMessage]:
    told = send_report(how, document(), EVIL, stop=STOP, now=now)
    letter = message_from_string(server.letters[-1], policy=default)
    assert isinstance(letter, EmailMessage)
    return told, letter


def test_the_page_comes_with_a_few_lines(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        told, letter = sent(server, mailing(settings(server)))
    assert letter["To"] == "risk@bank.example, ops@bank.example"
    assert letter["Bcc"] is None  # what a name would add is text
    assert str(letter["Subject"]).endswith("] report to 2026-05-21: 1 in alarm, 1 to be watched")
    body = letter.get_body()
    assert body is not None
    lines = body.get_content().splitlines()
    assert lines[0] == "Headwater: bank, 2026-05-01 to 2026-05-22 UTC"
    assert "Drift: in alarm" in lines
    assert "Late and dead events: to be watched" in lines
    assert "Parity: nothing to show. Nothing was compared yet. To do: run a server." in lines
    (attached,) = letter.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("report-2026-05-21.html", "text/html")
    assert attached.get_content().rstrip("\n") == page(document()).rstrip("\n")
    assert told.file == "report-2026-05-21.html"
    assert server.said.index("TLS") < server.said.index("DATA")


def test_the_same_report_is_the_same_letter_however_often_it_is_sent(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        how = mailing(settings(server, HEADWATER_REPORT_MAIL_AS="pdf"))
        _, first = sent(server, how)
        _, again = sent(server, how, now=STOP + DAY)
    (attached,) = first.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == (
        "report-2026-05-21.pdf",
        "application/pdf",
    )
    assert attached.get_content().startswith(b"%PDF-")
    assert first["Message-ID"] == again["Message-ID"]
    assert [one.get_content() for one in again.iter_attachments()] == [attached.get_content()]


def test_a_server_that_is_away_and_one_that_will_not_have_it(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        how = mailing(settings(server))
        server.refuse = 550
        with pytest.raises(DataError) as refused:
            send_report(how, document(), "bank", stop=STOP, now=STOP)
        assert refused.value.problems[0].got == "the mail server refused 2 of the recipients"
    with pytest.raises(DeliveryError) as away:
        send_report(how, document(), "bank", stop=STOP, now=STOP)
    assert str(away.value) == (
        "the report could not be mailed\n"
        "  expected: a mail server that takes it\n"
        "  got:      the mail server cannot be used: ConnectionRefusedError\n"
        "  do:       look at HEADWATER_SMTP_HOST and what stands beside it, then: headwater report --mail"
    )


def test_settings_that_cannot_be_read() -> None:
    with pytest.raises(DataError) as nobody:
        mailing({})
    assert str(nobody.value) == (
        "nobody is set who gets the report\n"
        "  expected: mail addresses, with commas between them\n"
        "  where:    HEADWATER_REPORT_MAIL_TO\n"
        "  do:       set HEADWATER_REPORT_MAIL_TO and HEADWATER_SMTP_HOST"
    )
    with pytest.raises(DataError) as form:
        mailing({TO: "a@b.example", "HEADWATER_REPORT_MAIL_AS": "docx"})
    assert str(form.value) == (
        "the setting HEADWATER_REPORT_MAIL_AS cannot be read\n"
        "  expected: html or pdf\n"
        "  got:      'docx'\n"
        "  where:    HEADWATER_REPORT_MAIL_AS\n"
        "  do:       correct it, or unset it"
    )
    with pytest.raises(DataError) as host:
        post_of({TO: "a@b.example"}, TO)
    assert host.value.problems[0].do == "set it, or unset HEADWATER_REPORT_MAIL_TO"
    with pytest.raises(DataError) as comma:
        post_of({TO: ",", "HEADWATER_SMTP_HOST": "localhost"}, TO)
    assert comma.value.problems[0].expected == "mail addresses, with commas between them"


@pytest.mark.usefixtures("lender")
def test_the_command_writes_a_pdf_and_mails(
    headwater: Headwater, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(tmp_path) as server:
        for name, value in settings(server).items():
            monkeypatch.setenv(name, value)
        told = headwater("report", *WEEK, "--pdf", "week.pdf", "--mail", "--json").json
    assert (told["files"], told["mailed"]) == (["week.pdf"], "report-2026-05-21.html")
    assert Path("week.pdf").read_bytes().startswith(b"%PDF-")
    (letter,) = server.letters
    (attached,) = message_from_string(letter, policy=default).iter_attachments()
    assert "1,600" not in attached.get_content()
    assert "Decisions" in attached.get_content()
    headwater("report", *WEEK, "--mail").fails(
        5,
        """
        the report could not be mailed
          expected: a mail server that takes it
          got:      the mail server cannot be used: ConnectionRefusedError
          do:       look at HEADWATER_SMTP_HOST and what stands beside it, then: headwater report --mail
        """,
    )
