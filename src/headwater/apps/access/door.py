"""The door: a credential goes in, a principal comes out, or a refusal that teaches an attacker nothing.

Denied unless proven. A server that has neither keys nor an identity provider lets in whoever sits at the same
machine, and only if it listens there alone; the first key ends that for good, and no later state (all keys
revoked, the provider gone) brings it back. What another process changes in the file of keys is seen at the
next look at it (:data:`LOOK`), what this one changes at once. Called by ``http.security`` for each request
and by ``headwater serve`` at the start. Read ``tokens`` and ``store.credentials`` next.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Self

from headwater.apps.access.principal import OPEN, Principal, of_key
from headwater.apps.access.rate import RateLimiter
from headwater.apps.access.settings import AccessSettings
from headwater.apps.stores import Records
from headwater.core.clock import Clock
from headwater.core.closing import Closing
from headwater.core.errors import (
    AccessError,
    CredentialInvalidError,
    CredentialMissingError,
    StoreError,
    UnavailableError,
)
from headwater.store.audit import AuditTrail
from headwater.store.credentials import CredentialStore
from headwater.store.protocol import Credentials

if TYPE_CHECKING:
    from headwater.apps.access.tokens import Tokens  # a twentieth of a server's imports, and few ask for it

KEY = "hw_"
LOOK = 5_000  # microseconds from one look of a busy server at its keys to the next: each costs a request


class Access(Closing):
    """Who may come in. Made with :meth:`open`; may be used from several threads.

    Args:
        credentials: the keys.
        tokens: of an identity provider, if there is one.
        limiter: how often one caller may ask.
        clock: tells now.
        is_open: whoever is at this machine may do all, as long as there is no key.
        stopwatch: microseconds since anything, never back.
        look: microseconds that a look at the file of keys is good for; 0 looks at every request.
    """

    def __init__(
        self,
        credentials: Credentials,
        tokens: Tokens | None,
        limiter: RateLimiter,
        clock: Clock,
        *,
        is_open: bool = False,
        stopwatch: Callable[[], int] = lambda: 0,
        look: int = 0,
    ) -> None:
        self.credentials = credentials
        self.tokens = tokens
        self._limiter = limiter
        self._clock = clock
        self._latest = 0
        self._is_open = is_open
        self._stopwatch = stopwatch
        self._look = look
        self._looked = stopwatch() - look

    @classmethod
    def open(
        cls,
        settings: AccessSettings,
        file: Path,
        *,
        host: str,
        clock: Clock,
        stopwatch: Callable[[], int],
        look: int = 0,
    ) -> Self:
        """The door of a server.

        Args:
            settings: what is set.
            file: of keys and trail (``DataFolder.access``).
            host: the address that the server is to listen on.
            clock: tells now.
            stopwatch: microseconds since anything, never back, for the rates.
            look: microseconds that a look at the file is good for; 0 looks at every request.

        Raises:
            StoreError: keys or trail are not what was written.
            AccessError: the server would be open to everybody, or the provider's address is unsafe.
        """
        with AuditTrail.open(file) as trail:
            trail.verify()
        return cls.around(
            settings, CredentialStore.open(file), host=host, clock=clock, stopwatch=stopwatch, look=look
        )

    @classmethod
    def of(
        cls,
        settings: AccessSettings,
        records: Records,
        *,
        host: str,
        clock: Clock,
        stopwatch: Callable[[], int],
        look: int = 0,
    ) -> Self:
        """The door of a server whose keys are where its records are; else as :meth:`open`.

        Keys that the data folder was left with open nothing, but they keep the server from being open.
        """
        with records.trail() as trail:
            trail.verify()
        return cls.around(
            settings,
            records.credentials(),
            host=host,
            clock=clock,
            stopwatch=stopwatch,
            look=look,
            closed=bool(records.left_behind()),
        )

    @classmethod
    def around(
        cls,
        settings: AccessSettings,
        credentials: Credentials,
        *,
        host: str,
        clock: Clock,
        stopwatch: Callable[[], int],
        look: int = 0,
        closed: bool = False,
    ) -> Self:
        """The door around keys whose trail was found whole, and which it closes; else as :meth:`open`.

        With ``closed`` it lets nobody in without a credential, whatever there is.
        """
        try:
            tokens = _tokens(settings)
            is_open = credentials.verify() == 0 and tokens is None and not closed
            _check_exposure(host, is_open=is_open)
            if credentials.shared:
                credentials.any(clock.now())
        except BaseException:
            credentials.close()
            raise
        limiter = RateLimiter(settings.rate, settings.burst, stopwatch)
        return cls(credentials, tokens, limiter, clock, is_open=is_open, stopwatch=stopwatch, look=look)

    def close(self) -> None:
        """Note when keys were last used, and let go of their file."""
        with suppress(StoreError):  # nothing rests on it
            self.credentials.note_uses()
        self.credentials.close()

    @property
    def was_open(self) -> bool:
        """Whether the server was open when that was last looked at; it never becomes open again."""
        return self._is_open

    @property
    def is_open(self) -> bool:
        """Whether whoever is at this machine is let in without a credential."""
        if self._is_open and self.credentials.any(self._now(), look=not self.credentials.shared):
            self._is_open = False
        return self._is_open

    def told(self) -> list[str]:
        """Who is let in, one line each, for the banner at the start."""
        if self.is_open:
            return ["no API keys: open to this machine alone, for everything"]
        now = self._now()
        active = sum(key.state(now) == "active" for key in self.credentials.listing())
        lines = [f"{active} API key{'' if active == 1 else 's'} in force"]
        if self.tokens is not None:
            lines.append(f"tokens of {self.tokens.trust.issuer} for {self.tokens.trust.audience}")
        return lines

    def due(self, credential: str | None) -> bool:
        """Whether :meth:`refresh`, which waits for the network, comes before :meth:`authenticate`."""
        if credential is None:
            return False
        if credential.startswith(KEY) or self.tokens is None:
            return self.credentials.shared and self.credentials.due(credential, self._now())
        return self.tokens.due(credential, self._now())

    def refresh(self, credential: str | None = None) -> None:
        """Fetch what a credential is proven by; waits for the network, some seconds at most."""
        if self.tokens is None or (credential is not None and credential.startswith(KEY)):
            self.look()
        else:
            self.tokens.ring.refresh(self._now)

    def look(self) -> bool:
        """Look whether shared keys were changed: once a second, off the way of requests."""
        return self.credentials.look(self._now())

    def authenticate(self, credential: str | None) -> Principal:
        """Whoever sent a credential.

        Raises:
            CredentialMissingError, CredentialInvalidError, CredentialExpiredError, CredentialRevokedError:
                it proves nothing.
            IdentityError: the provider's keys are out of reach.
            RateError: too many requests of this caller.
        """
        principal = self.proven(credential)
        self.count(principal)
        return principal

    def count(self, principal: Principal) -> None:
        """Count a request of a caller.

        Raises:
            RateError: too many requests of this caller.
        """
        self._limiter.take(principal.id, rate=principal.rate)

    def holds(self, principal: Principal) -> bool:
        """Whether somebody who was let in still would be: for streams that stay open. Not a request."""
        now = self._now()
        if principal.expires is not None and now >= principal.expires:
            return False
        if principal.kind == "open":
            return self.is_open
        if principal.kind == "oidc":
            return self.tokens is not None
        ident, look = principal.id.removeprefix("key:"), not self.credentials.shared
        try:
            key = self.credentials.find(ident, now, look=look)
        except UnavailableError:  # nobody has seen the keys for too long
            return False
        return key is not None and key.state(now) == "active" and of_key(key).roles >= principal.roles

    def proven(self, credential: str | None) -> Principal:
        """The same, without counting it as a request; see :meth:`authenticate`."""
        if credential is None:
            if self._is_open and (not (self.credentials.shared or self._looks()) or self.is_open):
                return OPEN
            raise CredentialMissingError.of(
                "a credential is needed",
                expected="the header `Authorization: Bearer <key or token>`",
                do="send one; `headwater keys create` makes a key",
            )
        if credential.startswith(KEY) or self.tokens is None:
            return of_key(self.credentials.authenticate(credential, self._now(), look=self._looks()))
        return self.tokens.principal(credential, self._now())

    def _looks(self) -> bool:
        """Whether it is time to look at the file again; at a database others look, once a second."""
        if self.credentials.shared:
            return False
        now = self._stopwatch()
        if now - self._looked < self._look:
            return False
        self._looked = now
        return True

    def _now(self) -> int:
        """Now, but never before what was now already: a clock set back brings no expired key to life."""
        self._latest = max(self._latest, self._clock.now())
        return self._latest


@lru_cache(256)
def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("[::1]"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def ambiguous() -> CredentialInvalidError:
    """What is said of a request with several credentials, or one that cannot be read."""
    return CredentialInvalidError.of(
        "the credential cannot be read",
        expected="one header `Authorization: Bearer <key or token>`",
        do="send exactly one",
    )


def _tokens(settings: AccessSettings) -> Tokens | None:
    if settings.trust is None:
        return None
    found: Tokens = import_module("headwater.apps.access.tokens").tokens_of(settings.trust, settings.jwks)
    return found


def _check_exposure(host: str, *, is_open: bool) -> None:
    if not is_open or is_loopback(host):
        return
    raise AccessError.of(
        "the server would be open to everybody who can reach it",
        expected="API keys, an identity provider, or an address of this machine alone",
        got=f"the address {host}, no key and no identity provider",
        do="make a key first: headwater keys create NAME --role admin; or listen on 127.0.0.1",
    )
