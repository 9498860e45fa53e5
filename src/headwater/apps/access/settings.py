"""What is set about access: TLS, the identity provider, rates, and secrets out of files.

A secret comes from its variable, or from the file that the variable with ``_FILE`` behind its name gives;
never from an option of the command line, which everybody on the machine could read. The rows of the
reference stand in ``apps.settings``. Called by ``headwater serve`` and the client's commands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headwater.apps.access.secret import read_secret, unreadable
from headwater.apps.access.trust import ALGORITHMS, Trust
from headwater.core.errors import DataError, HeadwaterError, Problem
from headwater.core.instant import span
from headwater.core.secret import Secret
from headwater.store.credentials import Role

RATE = 5_000.0
BURST = 10_000
_VERSIONS = ("1.2", "1.3")
_MOST_LEEWAY = 600_000_000  # 10 minutes


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How the server proves itself: PEM files, and the oldest version of TLS that it speaks."""

    certificate: Path
    key: Path
    password: Secret | None = None
    minimum: str = "1.2"


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Everything about access that can be set.

    Attributes:
        tls: None: plain HTTP.
        trust: of an identity provider; None: keys alone.
        jwks: the address of the provider's keys; None: its discovery page tells.
        rate, burst: requests a second of one caller, 0 for no limit; and how many at once.

    Example:
        >>> AccessSettings.read({"HEADWATER_RATE": "50"}).rate
        50.0
    """

    tls: TlsSettings | None = None
    trust: Trust | None = None
    jwks: str | None = None
    rate: float = RATE
    burst: int = BURST

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> AccessSettings:
        """Read the settings.

        Raises:
            DataError: with everything that cannot be read; never with a secret in it.
        """
        problems: list[Problem] = []
        tls, trust, rate, burst = None, None, RATE, BURST
        with _collecting(problems):
            tls = _tls(environ)
        with _collecting(problems):
            trust = _trust(environ)
        with _collecting(problems):
            rate = float(_number(environ, "HEADWATER_RATE", int(RATE)))
        with _collecting(problems):
            burst = max(1, _number(environ, "HEADWATER_BURST", BURST))
        DataError.raise_if(problems)
        return cls(tls, trust, environ.get("HEADWATER_OIDC_JWKS") or None, rate, burst)


def _tls(environ: Mapping[str, str]) -> TlsSettings | None:
    certificate, key = environ.get("HEADWATER_TLS_CERTIFICATE"), environ.get("HEADWATER_TLS_KEY")
    minimum = environ.get("HEADWATER_TLS_MINIMUM") or "1.2"
    if minimum not in _VERSIONS:
        raise unreadable(
            "HEADWATER_TLS_MINIMUM", " or ".join(_VERSIONS), repr(minimum), "correct it, or unset it"
        )
    if not certificate and not key:
        return None
    if not certificate or not key:
        missing = "HEADWATER_TLS_KEY" if certificate else "HEADWATER_TLS_CERTIFICATE"
        raise unreadable(missing, "a certificate and its key", "one of the two", "set both, or neither")
    return TlsSettings(
        Path(certificate), Path(key), read_secret("HEADWATER_TLS_KEY_PASSWORD", environ), minimum
    )


def _trust(environ: Mapping[str, str]) -> Trust | None:
    issuer, audience = environ.get("HEADWATER_OIDC_ISSUER"), environ.get("HEADWATER_OIDC_AUDIENCE")
    if not issuer and not audience:
        return None
    if not issuer or not audience:
        missing = "HEADWATER_OIDC_AUDIENCE" if issuer else "HEADWATER_OIDC_ISSUER"
        do = "set both: a token that names no audience could be one for another service"
        raise unreadable(missing, "an issuer and an audience", "one of the two", do)
    usual = Trust(issuer, audience)
    return Trust(
        issuer,
        audience,
        _algorithms(environ.get("HEADWATER_OIDC_ALGORITHMS") or ",".join(usual.algorithms)),
        environ.get("HEADWATER_OIDC_ROLES_CLAIM") or usual.roles_claim,
        _roles(environ.get("HEADWATER_OIDC_ROLES") or "") or usual.roles,
        _leeway(environ.get("HEADWATER_OIDC_LEEWAY"))
        if environ.get("HEADWATER_OIDC_LEEWAY")
        else usual.leeway,
    )


def _algorithms(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names or set(names) - set(ALGORITHMS):
        do = "name signatures with public keys only: whoever has a shared secret can make tokens"
        raise unreadable("HEADWATER_OIDC_ALGORITHMS", "some of " + ", ".join(ALGORITHMS), text, do)
    return names


def _roles(text: str) -> dict[str, Role]:
    """``risk-team=analyst, ops=admin`` as a table."""
    table: dict[str, Role] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        theirs, _, ours = pair.rpartition("=")
        if not theirs.strip() or ours.strip() not in list(Role):
            expected = "pairs such as risk-team=analyst, with one of " + ", ".join(Role)
            raise unreadable("HEADWATER_OIDC_ROLES", expected, repr(pair), "correct the pair")
        table[theirs.strip()] = Role(ours.strip())
    return table


def _leeway(text: str | None) -> int:
    try:
        leeway = 0 if text in ("0", "0s") else span(text or "")
    except HeadwaterError:
        leeway = -1
    if not 0 <= leeway <= _MOST_LEEWAY:
        raise unreadable(
            "HEADWATER_OIDC_LEEWAY", "a span from 0s to 10m", repr(text), "correct it, or unset it"
        )
    return leeway


def _number(environ: Mapping[str, str], variable: str, default: int) -> int:
    text = environ.get(variable, "")
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise unreadable(variable, "a whole number", repr(text), "correct it, or unset it")
    return int(text) if text else default


@contextmanager
def _collecting(problems: list[Problem]) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        problems.extend(error.problems)
