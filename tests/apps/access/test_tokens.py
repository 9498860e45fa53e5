"""Bearer tokens: what is believed, and each of the known ways to forge one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from headwater.apps.access.keyring import PAUSE, KeyRing
from headwater.apps.access.principal import Principal, Role
from headwater.apps.access.tokens import LONGEST, Tokens
from headwater.apps.access.trust import ALGORITHMS, Trust
from headwater.core.errors import CredentialExpiredError, CredentialInvalidError, IdentityError
from headwater.testing import ManualClock
from tests.apps.access.provider import AUDIENCE, ISSUER, NOW, SECOND, Fetched, claims, public, signer, token
from tests.letters import says

INVALID = """
the credential is not known here
  do:       send a key that `headwater keys create` gave, or a token of the identity provider
"""


def tokens(keys: Mapping[str, Any] | None = None, **changes: Any) -> Tokens:
    ring = KeyRing(Fetched(dict(keys) if keys is not None else public(signer(), signer("rsa", "RSA"))))
    made = Tokens(Trust(ISSUER, AUDIENCE, **changes), ring)
    ring.refresh(lambda: NOW)
    return made


def refused(text: str, by: Tokens | None = None, now: int = NOW) -> None:
    with says(CredentialInvalidError, INVALID):
        (by or tokens()).principal(text, now)


def b64(value: bytes | dict[str, Any]) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_good_token() -> None:
    expires = (NOW // SECOND + 300) * SECOND
    ada = Principal("oidc:ada", "ada", frozenset({Role.DECIDE}), "oidc", expires)
    assert tokens().principal(token(), NOW) == ada
    assert tokens().principal(token(signer("rsa", "RSA")), NOW) == ada
    okp = signer("okp", "OKP")
    assert tokens(public(okp)).principal(token(okp), NOW) == ada
    assert tokens().principal(token(signer("rsa", "RSA"), header={"alg": "PS256"}), NOW) == ada


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
def test_kinds_of_tokens(typ: str | None) -> None:
    assert tokens().principal(token(header={"typ": typ}), NOW).name == "ada"


def test_a_list_of_audiences() -> None:
    assert tokens().principal(token(aud=["other", AUDIENCE]), NOW).name == "ada"


# --- Claims ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://login.evil.example"},
        {"iss": ISSUER + "/"},
        {"iss": [ISSUER]},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": None},
        {"aud": AUDIENCE + " "},
        {"aud": {AUDIENCE: 1}},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": True},
        {"exp": []},
        {"nbf": NOW // SECOND + 61},
        {"iat": NOW // SECOND + 61},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": "ada\nadmin logged in"},
        {"sub": "ada\x1b[2J"},
        {"sub": "\u202eada"},
    ],
)
def test_a_claim_that_is_not_good(changes: dict[str, Any]) -> None:
    refused(token(**changes))


def test_clocks_may_differ_by_the_leeway() -> None:
    #            exp        exp + 60 s
    #  -----------|-------------)
    ends = (NOW // SECOND + 300) * SECOND
    made = tokens()
    assert made.principal(token(), ends + 60 * SECOND - 1).name == "ada"
    with says(CredentialExpiredError, "the token is expired\n  do:       get a new one and send that"):
        made.principal(token(), ends + 60 * SECOND)
    early = token(nbf=NOW // SECOND + 60, iat=NOW // SECOND + 60)
    assert made.principal(early, NOW).name == "ada"
    refused(early, made, NOW - 1)


def test_no_leeway_no_grace() -> None:
    made = tokens(leeway=0)
    ends = (NOW // SECOND + 300) * SECOND
    assert made.principal(token(), ends - 1).name == "ada"
    with pytest.raises(CredentialExpiredError):
        made.principal(token(), ends)


def test_that_it_is_expired_is_not_told_of_a_token_for_others() -> None:
    refused(token(exp=1, aud="other"))
    refused(token(exp=1)[:-4] + "AAAA")


# --- Roles -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "said", "roles"),
    [
        ("roles", {"roles": ["decide", "ingest"]}, {"decide", "ingest"}),
        ("roles", {"roles": ["decide", "owner", 7, None, ["admin"]]}, {"decide"}),
        ("roles", {"roles": None}, set()),
        ("roles", {"roles": {"admin": True}}, set()),
        ("roles", {"roles": "ADMIN"}, set()),
        ("scope", {"scope": "decide ingest"}, {"decide", "ingest"}),
        ("scope", {"scope": "decide,ingest"}, {"decide", "ingest"}),
        ("realm_access.roles", {"realm_access": {"roles": ["analyst"]}}, {"analyst"}),
        ("realm_access.roles", {"realm_access": ["analyst"]}, set()),
        ("https://bank.example/roles", {"https://bank.example/roles": ["admin"]}, {"admin"}),
    ],
)
def test_where_roles_stand(claim: str, said: dict[str, Any], roles: set[str]) -> None:
    assert tokens(roles_claim=claim).principal(token(**said), NOW).roles == roles


def test_the_providers_names_for_roles() -> None:
    made = tokens(roles={"risk-team": Role.ANALYST})
    assert made.principal(token(roles=["risk-team"]), NOW).roles == {Role.ANALYST}
    assert made.principal(token(roles=["admin", "decide"]), NOW).roles == frozenset()


# --- Forgeries ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "nOnE"])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_no_signature(algorithm: str, signature: str) -> None:
    refused(f"{b64({'alg': algorithm, 'kid': 'one'})}.{b64(claims())}.{signature}")


@pytest.mark.parametrize("kind", ["EC", "RSA"])
def test_a_public_key_as_a_shared_secret(kind: str) -> None:
    """The oldest trick: the public key is known to all, and HMAC takes any bytes as a secret."""
    key = signer("rsa", "RSA") if kind == "RSA" else signer()
    head = f"{b64({'alg': 'HS256', 'kid': key.kid})}.{b64(claims())}"
    for form in (
        key.as_pem(private=False),
        key.as_der(private=False),
        json.dumps(key.as_dict(private=False)).encode(),
    ):
        refused(f"{head}.{b64(hmac.digest(form, head.encode(), hashlib.sha256))}")


def test_a_shared_secret_among_the_providers_keys() -> None:
    secret = OctKey.generate_key(256, {"kid": "one"})
    forged = jws.serialize_compact({"alg": "HS256", "kid": "one"}, json.dumps(claims()), secret, ["HS256"])
    made = tokens({"keys": [{**secret.as_dict(), "kid": "one"}]})
    refused(forged, made)
    assert made.ring.key("one", "HS256", NOW) is None


def test_shared_secrets_cannot_be_allowed() -> None:
    for algorithms in (("HS256",), ("RS256", "none"), ()):
        with pytest.raises(ValueError, match="not a list of signatures with public keys"):
            Tokens(Trust(ISSUER, AUDIENCE, algorithms), KeyRing(Fetched({})))
    assert not [name for name in ALGORITHMS if name.startswith("HS") or name == "none"]


def test_a_key_of_ones_own_in_the_header() -> None:
    mine = ECKey.generate_key("P-256", {"kid": "mine"})
    for header in (
        {"jwk": mine.as_dict(private=False), "kid": None},
        {"jwk": mine.as_dict(private=False), "kid": "one"},
        {"jku": "https://evil.example/keys", "kid": "mine"},
        {"x5u": "https://evil.example/chain.pem", "kid": "mine"},
        {"x5c": ["MIIB"], "kid": "one"},
    ):
        refused(token(mine, header=header))


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/etc/passwd",
        "one' OR '1'='1",
        "https://evil.example/",
        "one\x00",
        "two",
        "",
        7,
        ["one"],
        {},
    ],
)
def test_a_key_id_is_looked_up_and_nothing_else(kid: object) -> None:
    made = tokens()
    head = f"{b64({'alg': 'ES256', 'kid': kid})}.{b64(claims())}"
    empty = hmac.digest(b"", head.encode(), hashlib.sha256)
    refused(f"{head}.{b64(empty)}", made)
    refused(f"{head}.{token().split('.')[2]}", made)


def test_a_key_is_for_its_own_algorithm() -> None:
    rsa, ec = signer("rsa", "RSA"), signer()
    refused(token(ec, header={"kid": "rsa"}))
    refused(token(rsa, header={"kid": "one"}))
    bound = tokens(public(rsa, alg="RS256"))
    assert bound.principal(token(rsa), NOW).name == "ada"
    refused(token(rsa, header={"alg": "PS256"}), bound)


def test_an_algorithm_that_is_not_allowed() -> None:
    refused(token(signer("rsa", "RSA")), tokens(algorithms=("ES256",)))


def test_without_a_key_id_the_only_key_is_taken() -> None:
    anonymous = token(header={"kid": None})
    assert tokens(public(signer())).principal(anonymous, NOW).name == "ada"
    refused(anonymous, tokens(public(signer(), signer("two"))))


def test_parts_of_two_tokens() -> None:
    head, _, signature = token().split(".")
    refused(f"{head}.{b64(claims(roles=['admin']))}.{signature}")


def test_a_signature_that_is_all_zeros() -> None:
    head, payload, _ = token().split(".")
    refused(f"{head}.{payload}.{b64(bytes(64))}")


def test_every_character_of_the_signature_counts() -> None:
    good = token()
    start = good.rindex(".") + 1
    for place in range(start, len(good) - 1, 7):
        refused(good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "é.é.é",
        "eyJ" + "A" * LONGEST,
        "." * 1_000_000,
    ],
)
def test_what_is_no_token(text: str) -> None:
    made = tokens()
    refused(text, made)
    assert not made.due(text, NOW + PAUSE)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'"alg"',
        b'["alg"]',
        b"[" * 3000,
        b'{"alg":[],"kid":"two"}',
        b'{"alg":{},"kid":"two"}',
        b'{"alg":"ES256","typ":7}',
        b'{"alg":"ES256","kid":{"kid":1}}',
        b'{"alg":"ES256","kid":"two","crit":["b64"],"b64":false}',
        b'{"alg":"ES256","kid":"two","crit":"b64"}',
        b'{"alg":"dir","kid":"two","enc":"A128GCM","zip":"DEF"}',
        b"\xff\xfe",
    ],
)
def test_a_header_that_is_none(header: bytes) -> None:
    made = tokens()
    text = f"{b64(header)}.e30.AAAA"
    refused(text, made)
    assert not made.due(text, NOW + PAUSE)


@pytest.mark.parametrize(
    "payload", [b"[]", b"7", b"{", b"[" * 3000, b"\xff", b'{"exp":1' + b"0" * 5000 + b"}"]
)
def test_a_signed_payload_that_is_no_claims(payload: bytes) -> None:
    refused(jws.serialize_compact({"alg": "ES256", "kid": "one"}, payload, signer(), ["ES256"]))


@pytest.mark.parametrize("header", [{"typ": "logout+jwt"}, {"typ": "secevent+jwt"}, {"crit": ["x"], "x": 1}])
def test_tokens_for_something_else(header: dict[str, Any]) -> None:
    good, key = token(), signer()
    assert isinstance(key, ECKey)
    head = {"alg": "ES256", "kid": "one", **header}
    signing = f"{b64(head)}.{good.split('.')[1]}"
    algorithm = jws.JWSRegistry.algorithms["ES256"]
    refused(f"{signing}.{b64(algorithm.sign(signing.encode(), key))}")


# --- Keys that come and go -----------------------------------------------------------------------------


def test_a_new_key_is_fetched_when_it_is_named() -> None:
    fetched = Fetched(public(signer()))
    made = Tokens(Trust(ISSUER, AUDIENCE), KeyRing(fetched))
    assert made.due(token(), NOW)
    made.ring.refresh(lambda: NOW)
    assert not made.due(token(), NOW + PAUSE)
    fetched.keys = public(signer("two"))
    new = token(signer("two"))
    assert not made.due(new, NOW + PAUSE - 1)  # not so soon again
    assert made.due(new, NOW + PAUSE)
    made.ring.refresh(lambda: NOW + PAUSE)
    assert made.principal(new, NOW + PAUSE).name == "ada"
    refused(token(), made, NOW + PAUSE)  # the old key is gone
    assert fetched.times == 2


def test_made_up_key_ids_do_not_make_us_knock_without_end() -> None:
    fetched = Fetched(public(signer()))
    made = Tokens(Trust(ISSUER, AUDIENCE), KeyRing(fetched))
    clock = ManualClock(NOW)
    for i in range(1000):
        clock.set(NOW + i * 10_000)  # ten seconds in all
        forged = f"{b64({'alg': 'ES256', 'kid': str(i)})}.e30.AAAA"
        if made.due(forged, clock.now()):
            made.ring.refresh(clock.now)
    assert fetched.times == 1


def test_a_provider_out_of_reach() -> None:
    fetched = Fetched({}, is_down=True)
    made = Tokens(Trust(ISSUER, AUDIENCE), KeyRing(fetched))
    made.ring.refresh(lambda: NOW)
    with says(
        IdentityError,
        """
        the identity provider's keys could not be fetched
          do:       try again soon; an administrator may look at the provider and at the server's log
        """,
    ):
        made.principal(token(), NOW)
    refused("nonsense", made)
