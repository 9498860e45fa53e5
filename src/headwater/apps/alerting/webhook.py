"""Alerts to a web address, signed: the receiver can prove who sent them, that nothing was changed, and when.

::

    Headwater-Signature: t=1767225600,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd
                           |            |
                           seconds      HMAC-SHA256(secret, "1767225600" + "." + body), hexadecimal

The same scheme as Stripe's: https://docs.stripe.com/webhooks#verify-manually. Called by ``delivery``; the
secret and the address come from ``settings``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx

from headwater.apps.alerting.channels import ChannelError
from headwater.apps.alerting.message import Message
from headwater.core.errors import DataError
from headwater.core.instant import SECOND
from headwater.core.secret import Secret

SIGNATURE = "Headwater-Signature"
TOLERANCE = 300  # seconds that a signature is good for
PAUSES = (0.5, 2.0)  # seconds between the tries of one delivery
_TIMEOUT = 10.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_AGAIN = (408, 425, 429)


class Webhook:
    """Posts messages as JSON.

    Args:
        address: https, or http on this machine. May itself be a secret, so it is never shown.
        secret: what messages are signed with.
        pause: waits so many seconds between tries.

    Raises:
        DataError: the address cannot be one.
    """

    name = "webhook"

    def __init__(self, address: Secret, secret: Secret, pause: Callable[[float], None]) -> None:
        self._address = _checked(address)
        self._secret = secret
        self._pause = pause

    def send(self, message: Message, *, now: int) -> None:
        """Post a message, at most three times; redirects are not followed."""
        for wait in (*PAUSES, None):
            try:
                self._post(message, now)
            except ChannelError as error:
                if wait is None or not error.again:
                    raise
                self._pause(wait)
            else:
                return

    def _post(self, message: Message, now: int) -> None:
        body = message.body
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "headwater",
            "Headwater-Delivery": message.id,
            SIGNATURE: sign(self._secret, body, now // SECOND),
        }
        try:
            with (
                httpx.Client(timeout=_TIMEOUT, follow_redirects=False) as client,
                client.stream("POST", self._address.reveal(), content=body, headers=headers) as answer,
            ):
                status = answer.status_code  # what it says beside that is not read
        except httpx.HTTPError as error:
            raise ChannelError(f"the receiver cannot be reached: {type(error).__name__}") from None
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise ChannelError(f"the receiver answered {status}; redirects are not followed", again=False)
        raise ChannelError(f"the receiver answered {status}", again=status >= 500 or status in _AGAIN)


def sign(secret: Secret, body: bytes, time: int) -> str:
    """The signature header of a body, as of a time in seconds.

    Example:
        >>> sign(Secret("s"), b"{}", 5)[:20]
        't=5,v1=773bda493dbd2'
    """
    digest = hmac.new(secret.reveal().encode(), str(time).encode() + b"." + body, hashlib.sha256)
    return f"t={time},v1={digest.hexdigest()}"


def verify(secret: Secret, header: str, body: bytes, time: int, tolerance: int = TOLERANCE) -> bool:
    """Whether a body was signed with the secret, at most ``tolerance`` seconds before or after ``time``.

    Example:
        >>> verify(Secret("s"), sign(Secret("s"), b"{}", 5), b"{}", 6)
        True
    """
    parts = dict(part.partition("=")[::2] for part in header.split(","))
    stamp = parts.get("t", "")
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 19) or abs(time - int(stamp)) > tolerance:
        return False
    wanted = sign(secret, body, int(stamp)).rpartition("=")[2]
    return hmac.compare_digest(wanted.encode(), parts.get("v1", "").encode())


def _checked(address: Secret) -> Secret:
    try:
        parts = urlsplit(address.reveal())
        host, scheme, _ = parts.hostname, parts.scheme, parts.port
    except ValueError:
        host, scheme = None, ""
    if host and (scheme == "https" or (scheme == "http" and host in _LOOPBACK)):
        return address
    raise DataError.of(
        "the setting HEADWATER_ALERT_WEBHOOK cannot be read",
        expected="an address with https, or with http on this machine",
        got="http to another machine" if scheme == "http" and host else "no such address",
        where="HEADWATER_ALERT_WEBHOOK",
        do="correct it, or unset it",
    )
