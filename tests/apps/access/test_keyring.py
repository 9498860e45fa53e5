"""The provider's keys: which are taken, how long, and what an answer may do to us."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_generate
from joserfc.jwk import OctKey

from headwater.apps.access.keyring import FRESH, KEEP, PAUSE, KeyRing, fetcher, is_safe, usable
from headwater.core.errors import IdentityError
from tests.apps.access.provider import NOW, Fetched, public, serving, signer


def test_keys_are_kept_while_the_provider_is_away_but_not_for_ever() -> None:
    # fetched ---- FRESH: asked again, in vain ---- KEEP: no longer taken
    fetched = Fetched(public(signer()))
    ring = KeyRing(fetched)
    ring.refresh(lambda: NOW)
    assert not ring.due("one", NOW + FRESH - 1)
    assert ring.due("one", NOW + FRESH)
    fetched.is_down = True
    ring.refresh(lambda: NOW + FRESH)
    assert not ring.due("one", NOW + FRESH + PAUSE - 1)
    assert ring.due("one", NOW + FRESH + PAUSE)
    assert ring.key("one", "ES256", NOW + KEEP - 1) is not None
    with pytest.raises(IdentityError):
        ring.key("one", "ES256", NOW + KEEP)
    assert fetched.times == 2


def test_two_who_ask_at_once_fetch_once() -> None:
    fetched = Fetched(public(signer()))
    ring = KeyRing(fetched)
    ring.refresh(lambda: NOW)
    ring.refresh(lambda: NOW)
    assert fetched.times == 1


def test_what_is_taken_of_a_key_set() -> None:
    good, rsa = signer(), signer("rsa", "RSA")
    weak = rsa_generate(65537, 1024).public_key().public_numbers()  # noqa: S505 - weak on purpose
    forms: list[Any] = [
        *public(good, rsa)["keys"],
        {**signer("enc").as_dict(private=False), "use": "enc"},
        OctKey.generate_key(256, {"kid": "oct"}).as_dict(),
        {"kty": "RSA", "kid": "broken", "n": "!!", "e": "AQAB"},
        {"kty": "EC", "kid": "curve", "crv": "P-000", "x": "AA", "y": "AA"},
        {"kty": "OKP", "kid": "exchange", "crv": "X25519", "x": "A" * 43},
        {**good.as_dict(private=False), "kid": 7},
        *public(signer("twice"))["keys"],
        {**signer("again").as_dict(private=False), "kid": "twice"},
        {
            "kty": "RSA",
            "kid": "weak",
            "e": "AQAB",
            "n": base64.urlsafe_b64encode(weak.n.to_bytes(128, "big")).decode().rstrip("="),
        },
        "text",
        None,
    ]
    assert set(usable({"keys": forms})) == {"one", "rsa"}


def test_private_parts_are_dropped() -> None:
    found = usable({"keys": [signer().as_dict(private=True)]})
    assert not found["one"].is_private


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": []}, {"keys": [[]]}])
def test_a_set_without_keys(document: dict[str, Any]) -> None:
    assert usable(document) == {}


def test_a_thousand_keys_are_too_many() -> None:
    forms = [{**signer().as_dict(private=False), "kid": str(i)} for i in range(1000)]
    assert len(usable({"keys": forms})) == 100


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://login.bank.example/keys", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://localhost/keys", True),
        ("http://login.bank.example/keys", False),
        ("http://127.0.0.1.evil.example/keys", False),
        ("http://127.0.0.1@evil.example/keys", False),
        ("https://user:password@login.bank.example/", False),
        ("file:///etc/passwd", False),
        ("ftp://login.bank.example", False),
        ("//login.bank.example", False),
        ("", False),
        ("https://", False),
        ("http://[::1", False),
    ],
)
def test_addresses(address: str, safe: bool) -> None:
    assert is_safe(address) is safe


def test_keys_by_discovery() -> None:
    with serving() as pages:
        pages.put(
            "/.well-known/openid-configuration",
            {"issuer": pages.address, "jwks_uri": pages.address + "/jwks"},
        )
        pages.put("/jwks", public(signer()))
        assert set(usable(fetcher(pages.address, None)())) == {"one"}
        assert pages.asked == ["/.well-known/openid-configuration", "/jwks"]


def test_keys_by_address() -> None:
    with serving() as pages:
        pages.put("/k", public(signer()))
        assert set(usable(fetcher("https://login.bank.example", pages.address + "/k")())) == {"one"}
        assert pages.asked == ["/k"]


def test_a_discovery_page_of_somebody_else() -> None:
    with serving() as pages:
        fetch = fetcher(pages.address, None)
        for page in (
            {"issuer": "https://login.evil.example", "jwks_uri": pages.address + "/jwks"},
            {"issuer": pages.address, "jwks_uri": "http://evil.example/jwks"},
            {"issuer": pages.address, "jwks_uri": "file:///etc/passwd"},
            {"issuer": pages.address, "jwks_uri": 7},
            {"issuer": pages.address},
        ):
            pages.put("/.well-known/openid-configuration", page)
            with pytest.raises(IdentityError, match="the discovery page is not that of the issuer"):
                fetch()


@pytest.mark.parametrize(
    ("body", "status", "headers"),
    [
        (b"", 200, {}),
        (b"nonsense", 200, {}),
        (b"[]", 200, {}),
        (b"[" * 100_000, 200, {}),
        (b"{}" + b" " * 600_000, 200, {}),
        (b"{}", 500, {}),
        (b"{}", 302, {"location": "http://127.0.0.1:1/other"}),
    ],
)
def test_answers_that_are_no_key_set(body: bytes, status: int, headers: dict[str, str]) -> None:
    with serving() as pages:
        pages.put("/k", body, status, headers)
        with pytest.raises(IdentityError):
            fetcher("https://login.bank.example", pages.address + "/k")()


def test_nobody_answers() -> None:
    with pytest.raises(IdentityError, match="ConnectError"):
        fetcher("https://login.bank.example", "http://127.0.0.1:1/k")()
