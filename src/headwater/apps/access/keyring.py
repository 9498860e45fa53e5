"""The public keys of an identity provider: fetched, kept, fetched again when an unknown one is named.

A key is only ever looked up by its id in what the provider's own address gave: nothing in a token can name
a file, an address or a key of its own. Fetching blocks, so it is a step apart (:meth:`KeyRing.refresh`) that
the caller takes off the event loop; looking up never waits. Called by ``tokens``.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from headwater.core.errors import IdentityError

_SECOND = 1_000_000
FRESH = 3_600 * _SECOND  # keys are fetched again when they are this old
KEEP = 24 * FRESH  # and no longer taken at this age, should the provider be out of reach all the while
PAUSE = 10 * _SECOND  # between two attempts, so that made-up key ids cannot make us knock without end

_TYPES: dict[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_RSA_BITS = 2048
_MOST_BYTES = 512 * 1024
_MOST_KEYS = 100
_TIMEOUT = 5.0  # seconds without a sign of life
_DEADLINE = 10.0  # seconds for the whole of an answer

_log = logging.getLogger("headwater.access")

Fetch = Callable[[], Mapping[str, Any]]


class KeyRing:
    """The provider's keys by id.

    Args:
        fetch: gives the key set, ``{"keys": [...]}``; raises IdentityError.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._keys: Mapping[str | None, Key] = {}
        self._fetched: int | None = None
        self._tried: int | None = None
        self._lock = threading.Lock()

    def due(self, kid: str | None, now: int) -> bool:
        """Whether the keys should be fetched before this one is looked up."""
        if self._tried is not None and now - self._tried < PAUSE:
            return False
        return self._fetched is None or now - self._fetched >= FRESH or kid not in self._keys

    def refresh(self, now: Callable[[], int]) -> None:
        """Fetch the keys, unless somebody else just has; those that are there stay if that fails.

        Until the attempt is over the keys stay due, so that whoever needs them waits for it too.
        """
        with self._lock:
            if self._tried is not None and now() - self._tried < PAUSE:
                return
            try:
                found = self._fetch()
            except IdentityError as error:
                _log.warning("no keys of the identity provider: %s", " ".join(str(error).split()))
            else:
                self._keys, self._fetched = usable(found), now()
            finally:
                self._tried = now()

    def key(self, kid: str | None, algorithm: str, now: int) -> Key | None:
        """The key of this id, if it is one for this algorithm; without an id, the only key there is.

        Raises:
            IdentityError: there are no keys that are young enough.
        """
        if self._fetched is None or now - self._fetched >= KEEP:
            raise IdentityError.of(
                "the identity provider's keys could not be fetched",
                do="try again soon; an administrator may look at the provider and at the server's log",
            )
        keys = self._keys
        found = (
            keys.get(kid) if kid is not None else next(iter(keys.values()), None) if len(keys) == 1 else None
        )
        if found is None or found.key_type != _FAMILIES.get(algorithm[:2]):
            return None
        stated = found.get("alg")
        return found if stated is None or stated == algorithm else None


def usable(found: Mapping[str, Any]) -> dict[str | None, Key]:
    """Public keys for signatures out of a key set; whatever else is in it is passed over.

    Symmetric keys are never taken, private parts are dropped, RSA below 2,048 bits is not trusted, and an
    id that stands twice is not told apart, so neither is taken.
    """
    keys: dict[str | None, Key] = {}
    twice: set[str | None] = set()
    listed = found.get("keys")
    for form in (listed if isinstance(listed, list) else [])[:_MOST_KEYS]:
        key = _import(form)
        if key is None:
            continue
        kid = form.get("kid")
        if kid in keys:
            twice.add(kid)
        keys[kid] = key
    return {kid: key for kid, key in keys.items() if kid not in twice}


def _import(form: Any) -> Key | None:
    if not isinstance(form, dict) or form.get("use", "sig") != "sig" or form.get("kty") not in _TYPES:
        return None
    if not isinstance(form.get("kid"), str | None) or form.get("crv") in ("X25519", "X448"):
        return None
    if form["kty"] == "RSA" and len(str(form.get("n"))) * 6 < _RSA_BITS:  # base64: 6 bits a character
        return None
    public = {name: value for name, value in form.items() if name not in _PRIVATE}
    try:
        key = _TYPES[form["kty"]].import_key(public)
        bits = key.public_key.key_size if isinstance(key, RSAKey) else _RSA_BITS
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key if bits >= _RSA_BITS else None


_ASKED = {"accept": "application/json", "accept-encoding": "identity"}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "key_ops", "x5c", "x5u"})


def fetcher(issuer: str, address: str | None, client: httpx.Client | None = None) -> Fetch:
    """How the keys of an issuer are fetched.

    Args:
        issuer: as it stands in its tokens; its discovery page tells where the keys are.
        address: where they are, if the issuer has no discovery page.
        client: to ask with; one that follows no redirects if none is given.
    """
    http = client or httpx.Client(timeout=_TIMEOUT, follow_redirects=False)

    def fetch() -> Mapping[str, Any]:
        return _document(http, address or _discovered(http, issuer))

    return fetch


def _discovered(http: httpx.Client, issuer: str) -> str:
    page = _document(http, issuer.rstrip("/") + "/.well-known/openid-configuration")
    address = page.get("jwks_uri")
    if page.get("issuer") != issuer or not isinstance(address, str) or not is_safe(address):
        raise IdentityError.of("the discovery page is not that of the issuer", expected=issuer)
    return address


def is_safe(address: str) -> bool:
    """Whether an address is https, or plain http on this machine.

    Example:
        >>> is_safe("https://login.example.org/keys"), is_safe("http://login.example.org/keys")
        (True, False)
    """
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, UnicodeError):
        return False
    near = url.host in ("127.0.0.1", "::1", "localhost")
    return bool(url.host) and not url.userinfo and (url.scheme == "https" or (url.scheme == "http" and near))


def _document(http: httpx.Client, address: str) -> dict[str, Any]:
    """A JSON object of bounded size."""
    try:
        with http.stream("GET", address, headers=_ASKED) as answer:
            body, until = b"", time.monotonic() + _DEADLINE
            for part in answer.iter_bytes():
                body += part
                if len(body) > _MOST_BYTES or time.monotonic() > until:
                    raise httpx.ReadError("too long")
        document = json.loads(body) if answer.status_code == httpx.codes.OK else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
        raise IdentityError.of(
            "the identity provider cannot be asked", got=type(error).__name__, where=address
        ) from None
    if not isinstance(document, dict):
        raise IdentityError.of("the identity provider gave no JSON object", where=address)
    return document
