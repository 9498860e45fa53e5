"""E-mail, over a connection that is encrypted and to a server whose certificate is checked.

``Mail`` is the channel of alerts, called by ``delivery``; ``letter_of`` and ``post_letter`` serve reports,
too. Where and how comes from ``settings``.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

from headwater.apps.alerting.channels import ChannelError
from headwater.apps.alerting.message import Message
from headwater.core.instant import SECOND
from headwater.core.secret import Secret

Security = Literal["starttls", "ssl", "none"]
_TIMEOUT = 20.0
_LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class Post:
    """A mail server, and who writes to whom.

    Attributes:
        host, port: of the server.
        security: ``starttls``, ``ssl``, or ``none`` for a server on this machine.
        sender: who writes.
        to: who is written to.
        user, password: for the server; None where it asks for none.
        authorities: a PEM file of certificates to trust beside the system's; None for those alone.
    """

    host: str
    port: int
    security: Security
    sender: str
    to: tuple[str, ...]
    user: str | None = None
    password: Secret | None = None
    authorities: Path | None = None


class Mail:
    """Sends messages as plain text."""

    name = "mail"

    def __init__(self, post: Post) -> None:
        self._post = post

    def send(self, message: Message, *, now: int) -> None:
        """Send a message to all; the server takes it, or says why not."""
        title, name = message.title, f"{message.id}.{now}"
        post_letter(self._post, letter_of(self._post, title, message.text, name=name, now=now))


def letter_of(post: Post, title: str, text: str, *, name: str, now: int) -> EmailMessage:
    """A letter of plain text to all whom ``post`` names.

    Args:
        post: who writes to whom.
        title: one line; what cannot be printed is left out.
        text: its lines.
        name: makes its Message-ID: the same for the same letter, however often it is sent.
        now: microseconds UTC.
    """
    letter = EmailMessage()
    letter["Subject"] = "".join(c if c.isprintable() else " " for c in title)[:_LONGEST_TITLE]
    letter["From"] = post.sender
    letter["To"] = ", ".join(post.to)
    letter["Date"] = format_datetime(datetime.fromtimestamp(now // SECOND, UTC))
    domain = post.sender.rpartition("@")[2].strip("> ") or "headwater"
    letter["Message-ID"] = f"<{name}@{domain}>"
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    letter.set_content(text + "\n")
    return letter


def post_letter(post: Post, letter: EmailMessage) -> None:
    """Hand a letter to the mail server.

    Raises:
        ChannelError: it did not take it.
    """
    try:
        with _server(post) as server:
            refused = server.send_message(letter)
    except smtplib.SMTPAuthenticationError:
        raise ChannelError("the mail server refuses user and password") from None
    except smtplib.SMTPRecipientsRefused as error:
        lasting = all(code >= 500 for code, _ in error.recipients.values())
        count = len(error.recipients)
        raise ChannelError(f"the mail server refused {count} of the recipients", again=not lasting) from None
    except smtplib.SMTPResponseException as error:
        lasting = 500 <= error.smtp_code < 600
        raise ChannelError(f"the mail server answered {error.smtp_code}", again=not lasting) from None
    except ssl.SSLError as error:
        raise ChannelError(f"the mail server's encryption fails: {error.reason or 'TLS'}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise ChannelError(f"the mail server cannot be used: {type(error).__name__}") from None
    if refused:
        raise ChannelError(f"the mail server refused {len(refused)} of the recipients", again=False)


@contextmanager
def _server(post: Post) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context()
    if post.authorities is not None:
        context.load_verify_locations(post.authorities)
    server: smtplib.SMTP
    if post.security == "ssl":
        server = smtplib.SMTP_SSL(post.host, post.port, timeout=_TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(post.host, post.port, timeout=_TIMEOUT)
    with server:
        if post.security == "starttls":
            server.starttls(context=context)
        if post.user is not None and post.password is not None:
            server.login(post.user, post.password.reveal())
        yield server
