"""Alerts over real connections: a web server that checks the signature, and a mail server with STARTTLS."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from email import message_from_string
from email.policy import default
from pathlib import Path

import pytest

from headwater.apps.alerting.channels import Channel, ChannelError
from headwater.apps.alerting.check import settle
from headwater.apps.alerting.delivery import deliver
from headwater.apps.alerting.message import message_of, trial_message
from headwater.apps.alerting.rules import Judged
from headwater.apps.alerting.settings import channels
from headwater.apps.alerting.webhook import verify
from headwater.core.errors import DataError
from headwater.core.instant import DAY, HOUR, MINUTE, SECOND, instant
from headwater.core.secret import Secret
from headwater.store.alerts import AlertStore, Signal
from tests.apps.alerting.receivers import mail_server, receiver

NOW = instant("2026-05-22T06:00:00Z")
SECRET = "correct horse battery staple"  # noqa: S105 - a test's
SIGNAL = Signal(
    "drift", "risk", "warning", NOW - DAY, "The model risk meets other data", "amount psi 0.4", "retrain"
)


def webhook(address: str, pauses: list[float]) -> Channel:
    environ = {"HEADWATER_ALERT_WEBHOOK": address, "HEADWATER_ALERT_WEBHOOK_SECRET": SECRET}
    return channels(environ, pauses.append)[1]


def test_a_receiver_can_prove_who_sent_it() -> None:
    with receiver() as server:
        webhook(server.address, []).send(trial_message("bank", NOW), now=NOW)
    ((headers, body),) = server.got
    # As docs/how-to/alerts.md tells receivers to do it.
    stamp, given = (part.partition("=")[2] for part in headers["Headwater-Signature"].split(","))
    wanted = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(wanted, given)
    assert int(stamp) == NOW // SECOND
    assert json.loads(body)["event"] == "test"


def test_a_signature_is_of_this_body_this_secret_and_this_hour() -> None:
    with receiver() as server:
        webhook(server.address, []).send(trial_message("bank", NOW), now=NOW)
    ((headers, body),) = server.got
    header, secret, at = headers["Headwater-Signature"], Secret(SECRET), NOW // SECOND
    assert verify(secret, header, body, at + 300)
    assert not verify(secret, header, body, at + 301)
    assert not verify(secret, header, body + b" ", at)
    assert not verify(Secret("another secret altogether"), header, body, at)
    assert not verify(secret, header.replace("t=", "t=1"), body, at)
    assert not verify(secret, "nonsense", body, at)


def test_a_receiver_that_is_busy_is_tried_again() -> None:
    pauses: list[float] = []
    with receiver(503, 429) as server:
        webhook(server.address, pauses).send(trial_message("bank", NOW), now=NOW)
    assert len(server.got) == 3
    assert len({headers["Headwater-Delivery"] for headers, _ in server.got}) == 1
    assert pauses == [0.5, 2.0]


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (302, "the receiver answered 302; redirects are not followed"),
        (401, "the receiver answered 401"),
    ],
)
def test_a_receiver_that_will_not_have_it_is_asked_once(status: int, fault: str) -> None:
    with receiver(status) as server, pytest.raises(ChannelError) as told:
        webhook(server.address, []).send(trial_message("bank", NOW), now=NOW)
    assert (told.value.fault, told.value.again, len(server.got)) == (fault, False, 1)


def test_a_channel_that_is_down_breaks_nothing_and_is_reported_once(tmp_path: Path) -> None:
    heard = Heard()
    with receiver() as gone:
        address = gone.address
    with AlertStore.open(tmp_path / "alerts.db") as store:
        down = webhook(address, [])
        store.signal(SIGNAL, now=NOW)
        first = deliver(store, [down, heard], "bank", now=NOW)
        assert first.failed == {"webhook": "the receiver cannot be reached: ConnectError"}
        assert heard.titles == [
            "[bank] warning: The model risk meets other data",
            "[bank] warning: Alerts do not reach the channel webhook",
        ]
        for minutes in (2, 10, 60):
            assert deliver(store, [down, heard], "bank", now=NOW + minutes * MINUTE).failed
        assert len(heard.titles) == 2
        with receiver() as server:
            late = deliver(store, [webhook(server.address, []), heard], "bank", now=NOW + DAY)
        assert late.failed == {}
        assert [json.loads(body)["alert"]["rule"] for _, body in server.got] == ["drift"]
        assert heard.titles[2:] == ["[bank] resolved: warning: Alerts do not reach the channel webhook"]
        assert deliver(store, [heard], "bank", now=NOW + 2 * DAY).told == 0


class Heard:
    """A channel that keeps titles in memory."""

    name = "heard"

    def __init__(self) -> None:
        self.titles: list[str] = []

    def send(self, message: object, *, now: int) -> None:
        assert now
        self.titles.append(message.title)  # type: ignore[attr-defined]


class Broken:
    """A channel with a bug."""

    name = "broken"

    def send(self, message: object, *, now: int) -> None:
        raise ZeroDivisionError(f"{message} {now}")


def test_a_bug_in_a_channel_reaches_nobody(tmp_path: Path) -> None:
    heard = Heard()
    with AlertStore.open(tmp_path / "alerts.db") as store:
        store.signal(SIGNAL, now=NOW)
        done = deliver(store, [Broken(), heard], "bank", now=NOW)
    assert done.failed == {"broken": "it failed in a way that nobody foresaw: ZeroDivisionError"}
    assert len(heard.titles) == 2


def test_an_alert_comes_by_mail(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server, AlertStore.open(tmp_path / "alerts.db") as store:
        environ = {
            "HEADWATER_ALERT_MAIL_TO": "risk@bank.example, ops@bank.example",
            "HEADWATER_ALERT_MAIL_FROM": "Headwater <headwater@bank.example>",
            "HEADWATER_SMTP_HOST": "127.0.0.1",
            "HEADWATER_SMTP_PORT": str(server.port),
            "HEADWATER_SMTP_USER": "headwater",
            "HEADWATER_SMTP_PASSWORD": "hunter2hunter2",
            "HEADWATER_SMTP_CA": str(server.certificate),
        }
        store.signal(SIGNAL, now=NOW)
        done = deliver(store, channels(environ, time.sleep), "bank", now=NOW)
    assert (done.told, done.failed) == (2, {})  # the log and the mail
    assert server.said.index("TLS") < server.said.index("AUTH") < server.said.index("DATA")
    letter = message_from_string(server.letters[0], policy=default)
    assert letter["Subject"] == "[bank] warning: The model risk meets other data"
    assert letter["To"] == "risk@bank.example, ops@bank.example"
    text = letter.get_content()
    for fact in ("Since:      2026-05-21T06:00:00Z", "How bad:    amount psi 0.4", "What to do: retrain"):
        assert fact in text


def test_a_mail_server_that_nobody_knows_gets_nothing(tmp_path: Path) -> None:
    with mail_server(tmp_path) as server:
        environ = {
            "HEADWATER_ALERT_MAIL_TO": "risk@bank.example",
            "HEADWATER_SMTP_HOST": "127.0.0.1",
            "HEADWATER_SMTP_PORT": str(server.port),
        }
        with pytest.raises(ChannelError) as told:
            channels(environ, time.sleep)[1].send(trial_message("bank", NOW), now=NOW)
    assert told.value.fault == "the mail server's encryption fails: CERTIFICATE_VERIFY_FAILED"
    assert server.letters == []


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        (
            {"HEADWATER_ALERT_WEBHOOK": "http://far.example/hook", "HEADWATER_ALERT_WEBHOOK_SECRET": SECRET},
            (
                "the setting HEADWATER_ALERT_WEBHOOK cannot be read\n"
                "  expected: an address with https, or with http on this machine\n"
                "  got:      http to another machine\n"
                "  where:    HEADWATER_ALERT_WEBHOOK\n"
                "  do:       correct it, or unset it"
            ),
        ),
        (
            {"HEADWATER_ALERT_WEBHOOK": "https://far.example/hook"},
            (
                "the setting HEADWATER_ALERT_WEBHOOK_SECRET cannot be read\n"
                "  expected: a secret of at least 16 characters, that messages are signed with\n"
                "  got:      none\n"
                "  where:    HEADWATER_ALERT_WEBHOOK_SECRET\n"
                "  do:       draw one: openssl rand -hex 32; and give it to the receiver, too"
            ),
        ),
        (
            {
                "HEADWATER_ALERT_MAIL_TO": "a@b.example",
                "HEADWATER_SMTP_HOST": "far.example",
                "HEADWATER_SMTP_SECURITY": "none",
            },
            (
                "the setting HEADWATER_SMTP_SECURITY cannot be read\n"
                "  expected: starttls or ssl; none for a server on this machine alone\n"
                "  got:      'none'\n"
                "  where:    HEADWATER_SMTP_SECURITY\n"
                "  do:       correct it, or unset it"
            ),
        ),
        (
            {"HEADWATER_ALERT_MAIL_TO": "a@b.example"},
            (
                "the setting HEADWATER_SMTP_HOST cannot be read\n"
                "  expected: the mail server's name\n"
                "  got:      none\n"
                "  where:    HEADWATER_SMTP_HOST\n"
                "  do:       set it, or unset HEADWATER_ALERT_MAIL_TO"
            ),
        ),
    ],
)
def test_settings_that_cannot_be_read(environ: dict[str, str], text: str) -> None:
    with pytest.raises(DataError) as told:
        channels(environ, time.sleep)
    assert str(told.value) == text


def test_an_alert_opens_once_resolves_and_reopens(tmp_path: Path) -> None:
    wrong, right, unknown = Judged("drift", (SIGNAL,)), Judged("drift", clear=("risk",)), Judged("drift")

    def happens(judged: Judged, hours: int) -> list[str]:
        return [event for _, _, event in settle(store, [judged], now=NOW + hours * HOUR)]

    with AlertStore.open(tmp_path / "alerts.db") as store:
        assert happens(right, 0) == []
        assert happens(wrong, 1) == ["opened"]
        assert happens(wrong, 2) == []
        assert happens(unknown, 3) == []
        assert happens(wrong, 1 + 7 * 24) == ["still"]
        assert happens(right, 200) == ["resolved"]
        assert happens(wrong, 201) == ["reopened"]
        newest, before = store.page()
        assert (newest.state, newest.previous, before.state) == ("open", before.number, "resolved")


def test_what_was_taken_on_is_told_again_only_if_it_gets_worse(tmp_path: Path) -> None:
    worse = Signal(**{**{n: getattr(SIGNAL, n) for n in SIGNAL.__slots__}, "severity": "critical"})
    with AlertStore.open(tmp_path / "alerts.db") as store:
        store.signal(SIGNAL, now=NOW)
        assert store.acknowledge("a1", "ada", now=NOW).acknowledged_by == "ada"
        assert store.signal(SIGNAL, now=NOW + 30 * DAY) is None
        assert store.signal(worse, now=NOW + 31 * DAY) == "worse"
        assert store.get("a1").state == "open"


def test_a_message_says_it_all(tmp_path: Path) -> None:
    with AlertStore.open(tmp_path / "alerts.db") as store:
        store.signal(SIGNAL, now=NOW)
        (notice,) = store.waiting("log", now=NOW, since=0)
    assert message_of(notice, "bank").text == (
        "The model risk meets other data\n"
        "Since:      2026-05-21T06:00:00Z\n"
        "How bad:    amount psi 0.4\n"
        "What to do: retrain\n"
        "Alert:      a1, rule drift, about risk, open\n"
        "To take it on: headwater alerts ack a1"
    )
