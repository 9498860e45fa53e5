"""Bearer tokens of an identity provider (OpenID Connect): who signed, for whom, until when, with which roles.

Only signatures with public keys are taken, each with a key of the provider's own (``keyring``): ``none``,
HMAC and keys that a token brings along are refused before anything of it is believed. Called by ``door``.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError

from headwater.apps.access.keyring import KeyRing, fetcher, is_safe
from headwater.apps.access.principal import Principal, Role
from headwater.apps.access.trust import ALGORITHMS, Trust
from headwater.core.errors import AccessError, CredentialExpiredError, CredentialInvalidError

LONGEST = 8_192  # characters of a token
_TYPES = ("", "jwt", "at+jwt", "application/at+jwt")
_SUBJECT = 255  # characters, the bound of OpenID Connect
_SECOND = 1_000_000


class Tokens:
    """Verifies tokens.

    Args:
        trust: what is believed.
        ring: the provider's keys.
    """

    def __init__(self, trust: Trust, ring: KeyRing) -> None:
        unsafe = set(trust.algorithms) - set(ALGORITHMS)
        if unsafe or not trust.algorithms:
            raise ValueError(f"not a list of signatures with public keys: {trust.algorithms}")
        self.trust = trust
        self.ring = ring
        self._registry = jws.JWSRegistry(algorithms=list(trust.algorithms), strict_check_header=False)

    def due(self, token: str, now: int) -> bool:
        """Whether the provider's keys should be fetched (``ring.refresh``) before this token is read."""
        try:
            header = self._read(token).headers()
        except CredentialInvalidError:
            return False
        return self.ring.due(header.get("kid"), now)

    def principal(self, token: str, now: int) -> Principal:
        """Whoever a token is about. Waits for nothing.

        Raises:
            CredentialInvalidError: it is none of the provider's, or not for us, or not yet good.
            CredentialExpiredError: it was one.
            IdentityError: there are no keys to check it with.
        """
        claims = self._claims(self._signed(token, now))
        trust = self.trust
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        subject, expires = claims.get("sub"), _time(claims, "exp")
        early, late = _time(claims, "nbf"), _time(claims, "iat")
        if claims.get("iss") != trust.issuer or trust.audience not in named:
            raise _invalid()
        if expires is None or not isinstance(subject, str) or not _presentable(subject):
            raise _invalid()
        if any(moment is not None and moment > now + trust.leeway for moment in (early, late)):
            raise _invalid()
        if now >= expires + trust.leeway:
            raise CredentialExpiredError.of("the token is expired", do="get a new one and send that")
        return Principal(f"oidc:{subject}", subject, self._roles(claims), "oidc", expires)

    def _signed(self, token: str, now: int) -> bytes:
        """The payload, once its signature was found right."""
        found = self._read(token)
        header = found.headers()
        key = self.ring.key(header.get("kid"), str(header["alg"]), now)
        if key is None:
            raise _invalid()
        try:
            right = jws.validate_compact(found, key, registry=self._registry)
        except (JoseError, ValueError, TypeError):
            raise _invalid() from None
        if not right:
            raise _invalid()
        return found.payload

    def _read(self, token: str) -> jws.CompactSignature:
        """A token's parts, with a header that may be gone on with; nothing is proven yet."""
        if len(token) > LONGEST or not token.isascii() or token.count(".") != 2:
            raise _invalid()
        try:
            found = jws.extract_compact(token.encode(), registry=self._registry)
            header = found.headers()
            kid, kind = header.get("kid"), header.get("typ", "")
            self._registry.check_header(header)
        except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
            raise _invalid() from None
        if header.get("alg") not in self.trust.algorithms or "crit" in header:
            raise _invalid()
        if not isinstance(kid, str | None) or not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise _invalid()
        return found

    def _claims(self, payload: bytes) -> dict[str, Any]:
        try:
            claims = json.loads(payload)
        except (ValueError, RecursionError):
            raise _invalid() from None
        if not isinstance(claims, dict):
            raise _invalid()
        return claims

    def _roles(self, claims: Mapping[str, Any]) -> frozenset[Role]:
        """The roles that the token names and that are known here."""
        found: Any = claims.get(self.trust.roles_claim)
        if found is None:
            found = claims
            for name in self.trust.roles_claim.split("."):
                found = found.get(name) if isinstance(found, Mapping) else None
        names = found.replace(",", " ").split() if isinstance(found, str) else found
        if not isinstance(names, list):
            return frozenset()
        return frozenset(
            self.trust.roles[name] for name in names if isinstance(name, str) and name in self.trust.roles
        )


def tokens_of(trust: Trust, jwks: str | None) -> Tokens:
    """The verifier of an identity provider's tokens.

    Args:
        trust: what is believed.
        jwks: where its keys are, if it has no discovery page.

    Raises:
        AccessError: an address that somebody on the way could answer for.
    """
    for variable, address in (("HEADWATER_OIDC_ISSUER", trust.issuer), ("HEADWATER_OIDC_JWKS", jwks)):
        if address is not None and not is_safe(address):
            raise AccessError.of(
                "the identity provider's address is not safe",
                expected="an https address without user and password",
                where=variable,
                do="whoever is on the way could give us keys of their own; use https",
            )
    return Tokens(trust, KeyRing(fetcher(trust.issuer, jwks)))


def _time(claims: Mapping[str, Any], name: str) -> int | None:
    """A claim in seconds as microseconds; None where there is none.

    Raises:
        CredentialInvalidError: it is no finite number.
    """
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _invalid()
    return int(value * _SECOND)


def _presentable(subject: str) -> bool:
    """Whether a subject can stand in a log: not empty, bounded, without control or format characters."""
    return 0 < len(subject) <= _SUBJECT and not any(unicodedata.category(c)[0] == "C" for c in subject)


def _invalid() -> CredentialInvalidError:
    """One answer to whatever is wrong, the same as for a key, so that nothing is learnt by trying."""
    return CredentialInvalidError.of(
        "the credential is not known here",
        do="send a key that `headwater keys create` gave, or a token of the identity provider",
    )
