"""What is set about alerts: the channels, and how mail is sent. Secrets come from the environment or a file.

Never from an option. The rows of the reference stand in ``apps.settings``. Called by ``headwater alerts``, by
jobs, and by ``apps.reporting.post``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import get_args

from headwater.apps.access.secret import read_secret
from headwater.apps.alerting.channels import Channel, LogChannel
from headwater.apps.alerting.mail import Mail, Post, Security
from headwater.apps.alerting.webhook import Webhook
from headwater.core.errors import DataError
from headwater.core.secret import Secret

ALERT_TO = "HEADWATER_ALERT_MAIL_TO"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORTS: Mapping[Security, int] = {"starttls": 587, "ssl": 465, "none": 25}


def channels(environ: Mapping[str, str], pause: Callable[[float], None]) -> list[Channel]:
    """The channels that are set, the log first.

    Args:
        environ: the environment.
        pause: waits so many seconds.

    Raises:
        DataError: a setting cannot be read; never with a secret in it.

    Example:
        >>> import time
        >>> [channel.name for channel in channels({}, time.sleep)]
        ['log']
    """
    found: list[Channel] = [LogChannel()]
    address = read_secret("HEADWATER_ALERT_WEBHOOK", environ)
    if address is not None:
        found.append(Webhook(address, _signing(environ), pause))
    if environ.get(ALERT_TO):
        found.append(Mail(post_of(environ, ALERT_TO)))
    return found


def _signing(environ: Mapping[str, str]) -> Secret:
    secret = read_secret("HEADWATER_ALERT_WEBHOOK_SECRET", environ)
    if secret is None or len(secret.reveal()) < 16:
        raise _unreadable(
            "HEADWATER_ALERT_WEBHOOK_SECRET",
            "a secret of at least 16 characters, that messages are signed with",
            "none" if secret is None else "a shorter one",
            "draw one: openssl rand -hex 32; and give it to the receiver, too",
        )
    return secret


def post_of(environ: Mapping[str, str], recipients: str) -> Post:
    """The mail server that is set, and who is written to.

    Args:
        environ: the environment.
        recipients: the variable that names them; it is set.

    Raises:
        DataError: a setting cannot be read; never with a secret in it.
    """
    host = environ.get("HEADWATER_SMTP_HOST")
    if not host:
        raise _unreadable(
            "HEADWATER_SMTP_HOST",
            "the mail server's name",
            "none",
            f"set it, or unset {recipients}",
        )
    security = _security(environ, host)
    authorities, user = environ.get("HEADWATER_SMTP_CA"), environ.get("HEADWATER_SMTP_USER") or None
    to = tuple(one.strip() for one in environ[recipients].split(",") if one.strip())
    return Post(
        host=host,
        port=_port(environ.get("HEADWATER_SMTP_PORT"), security),
        security=security,
        sender=_address(
            "HEADWATER_ALERT_MAIL_FROM", environ.get("HEADWATER_ALERT_MAIL_FROM") or next(iter(to), "")
        ),
        to=tuple(_address(recipients, one) for one in to),
        user=user,
        password=read_secret("HEADWATER_SMTP_PASSWORD", environ),
        authorities=Path(authorities) if authorities else None,
    )


def _security(environ: Mapping[str, str], host: str) -> Security:
    text = environ.get("HEADWATER_SMTP_SECURITY") or "starttls"
    found: Security | None = next((one for one in get_args(Security) if one == text), None)
    if found is None or (found == "none" and host not in LOOPBACK):
        raise _unreadable(
            "HEADWATER_SMTP_SECURITY",
            "starttls or ssl; none for a server on this machine alone",
            repr(text),
            "correct it, or unset it",
        )
    return found


def _port(text: str | None, security: Security) -> int:
    if not text:
        return _PORTS[security]
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65_536):
        raise _unreadable("HEADWATER_SMTP_PORT", "a port, 1 to 65535", repr(text), "correct it, or unset it")
    return int(text)


def _address(variable: str, text: str) -> str:
    mail = parseaddr(text)[1]
    if "@" not in mail or not mail.isprintable() or any(c in text for c in "\r\n"):
        raise _unreadable(
            variable, "mail addresses, with commas between them", "something else", "correct it"
        )
    return text


def _unreadable(variable: str, expected: str, got: str, do: str) -> DataError:
    return DataError.of(
        f"the setting {variable} cannot be read", expected=expected, got=got, where=variable, do=do
    )
