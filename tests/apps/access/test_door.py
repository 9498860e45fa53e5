"""The door of a server: shut unless proven."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.apps.access.door import Access, is_loopback
from headwater.apps.access.principal import OPEN, Principal, Role
from headwater.apps.access.settings import AccessSettings
from headwater.apps.access.trust import Trust
from headwater.core.errors import (
    AccessError,
    CredentialExpiredError,
    CredentialInvalidError,
    CredentialMissingError,
    CredentialRevokedError,
    ForbiddenError,
    RateError,
    StoreError,
)
from headwater.core.instant import DAY, HOUR
from headwater.store.credentials import CredentialStore
from headwater.testing import ManualClock
from tests.apps.access.provider import AUDIENCE, NOW, Pages, public, serving, signer, token
from tests.letters import says

ANYWHERE = "0.0.0.0"  # noqa: S104 - told apart, never listened on


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "access.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


def opened(file: Path, clock: ManualClock, host: str = "127.0.0.1", **changes: object) -> Access:
    settings = AccessSettings(**changes)  # type: ignore[arg-type]
    return Access.open(settings, file, host=host, clock=clock, stopwatch=clock.now)


def create(file: Path, *roles: Role, expires: int | None = None) -> str:
    with CredentialStore.open(file) as store:
        _, secret = store.create("k", roles or [Role.DECIDE], now=NOW, actor="cli:ada", expires=expires)
        return secret.reveal()


# --- Open, to this machine alone -----------------------------------------------------------------------


def test_without_keys_this_machine_alone_is_let_in(file: Path, clock: ManualClock) -> None:
    with opened(file, clock) as access:
        assert access.is_open
        assert access.authenticate(None) is OPEN
        assert access.holds(OPEN)
        assert access.told() == ["no API keys: open to this machine alone, for everything"]


@pytest.mark.parametrize(
    "host", [ANYWHERE, "::", "", "192.168.1.7", "bank.example", "127.0.0.1.evil.example"]
)
def test_without_keys_no_other_address(file: Path, clock: ManualClock, host: str) -> None:
    with says(
        AccessError,
        f"""
        the server would be open to everybody who can reach it
          expected: API keys, an identity provider, or an address of this machine alone
          got:      the address {host}, no key and no identity provider
          do:       make a key first: headwater keys create NAME --role admin; or listen on 127.0.0.1
        """,
    ):
        opened(file, clock, host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_addresses_of_this_machine(host: str) -> None:
    assert is_loopback(host)


def test_the_first_key_shuts_an_open_server_for_good(file: Path, clock: ManualClock) -> None:
    with opened(file, clock) as access:
        secret = create(file)
        with pytest.raises(CredentialMissingError):
            access.authenticate(None)
        assert access.authenticate(secret).name == "k"
        assert not access.holds(OPEN)
        access.credentials.revoke("k", now=NOW, actor="cli:ada")
        with pytest.raises(CredentialMissingError):
            access.authenticate(None)


def test_what_another_process_changes_is_seen_at_the_next_look(file: Path, clock: ManualClock) -> None:
    moment = 0
    with Access.open(
        AccessSettings(), file, host="127.0.0.1", clock=clock, stopwatch=lambda: moment, look=5
    ) as access:
        assert access.authenticate(None) is OPEN
        secret = create(file)
        moment = 4
        assert access.authenticate(None) is OPEN
        moment = 5
        with pytest.raises(CredentialMissingError):
            access.authenticate(None)
        assert access.authenticate(secret).name == "k"
        with CredentialStore.open(file) as other:
            other.revoke("k", now=NOW, actor="cli:ada")
        moment = 9
        assert access.authenticate(secret).name == "k"
        moment = 10
        with pytest.raises(CredentialRevokedError):
            access.authenticate(secret)


def test_what_this_process_changes_is_seen_at_once(file: Path, clock: ManualClock) -> None:
    secret = create(file)
    with Access.open(
        AccessSettings(), file, host="127.0.0.1", clock=clock, stopwatch=lambda: 0, look=5
    ) as access:
        assert access.authenticate(secret).name == "k"
        access.credentials.revoke("k", now=NOW, actor="cli:ada")
        with pytest.raises(CredentialRevokedError):
            access.authenticate(secret)


def test_revoked_and_expired_keys_do_not_open_a_server(file: Path, clock: ManualClock) -> None:
    create(file, expires=NOW + 1)
    clock.advance("1d")
    with opened(file, clock, ANYWHERE) as access:
        assert access.told() == ["0 API keys in force"]
        with pytest.raises(CredentialMissingError):
            access.authenticate(None)


def test_a_credential_that_is_wrong_is_refused_by_an_open_server_too(file: Path, clock: ManualClock) -> None:
    with opened(file, clock) as access, pytest.raises(CredentialInvalidError):
        access.authenticate("anything")


# --- Keys ------------------------------------------------------------------------------------------------


def test_no_credential(file: Path, clock: ManualClock) -> None:
    create(file)
    with (
        opened(file, clock) as access,
        says(
            CredentialMissingError,
            """
            a credential is needed
              expected: the header `Authorization: Bearer <key or token>`
              do:       send one; `headwater keys create` makes a key
            """,
        ),
    ):
        access.authenticate(None)


def test_a_key_has_its_roles_and_no_others(file: Path, clock: ManualClock) -> None:
    secret = create(file, Role.DECIDE)
    with opened(file, clock, ANYWHERE) as access:
        principal = access.authenticate(secret)
        assert (principal.name, principal.kind) == ("k", "key")
        assert principal.roles == {Role.DECIDE}
        assert access.told() == ["1 API key in force"]
    principal.need(Role.DECIDE)
    for role in (Role.INGEST, Role.ANALYST, Role.ADMIN):
        with says(
            ForbiddenError,
            f"""
            this credential may not do that
              expected: the role {role}
              got:      decide
              do:       use a credential that has the role, or ask an administrator for it
            """,
        ):
            principal.need(role)


def test_an_admin_may_all() -> None:
    admin = Principal("key:1", "a", frozenset({Role.ADMIN}), "key")
    assert all(admin.may(role) for role in Role)
    nobody = Principal("oidc:x", "x", frozenset(), "oidc")
    assert not any(nobody.may(role) for role in Role)


def test_a_clock_set_back_brings_no_key_to_life(file: Path, clock: ManualClock) -> None:
    secret = create(file, expires=NOW + DAY)

    class Back(ManualClock):
        times = iter([NOW, NOW + DAY, NOW])

        def now(self) -> int:
            return next(self.times)

    with Access.open(AccessSettings(), file, host="127.0.0.1", clock=Back(), stopwatch=clock.now) as access:
        access.authenticate(secret)
        for _ in range(2):
            with pytest.raises(CredentialExpiredError):
                access.authenticate(secret)


def test_one_callers_rate(file: Path, clock: ManualClock) -> None:
    secret = create(file)
    with opened(file, clock, rate=1.0, burst=2) as access:
        access.authenticate(secret)
        access.authenticate(secret)
        with pytest.raises(RateError) as refused:
            access.authenticate(secret)
        assert refused.value.retry_after == 1.0
        with pytest.raises(CredentialInvalidError):  # who is nobody takes from nobody's tokens
            access.authenticate(secret[:-8] + "00000000")
        clock.advance("1s")
        access.authenticate(secret)


def test_rotating_gives_no_second_rate(file: Path, clock: ManualClock) -> None:
    secret = create(file)
    with opened(file, clock, rate=1.0, burst=1) as access:
        access.authenticate(secret)
        _, new = access.credentials.rotate("k", now=NOW, actor="cli:ada", grace=HOUR)
        with pytest.raises(RateError):
            access.authenticate(new.reveal())


def test_a_stream_that_stays_open_ends_with_its_credential(file: Path, clock: ManualClock) -> None:
    secret = create(file, expires=NOW + DAY)
    with opened(file, clock) as access:
        principal = access.authenticate(secret)
        assert access.holds(principal)
        clock.advance("1d")
        assert not access.holds(principal)
    with opened(file, ManualClock(NOW)) as access:
        access.credentials.revoke("k", now=NOW, actor="cli:ada")
        assert not access.holds(principal)
        with pytest.raises(CredentialRevokedError):
            access.authenticate(secret)


def test_a_server_does_not_start_on_a_tampered_file(file: Path, clock: ManualClock) -> None:
    create(file)
    connection = sqlite3.connect(file)
    connection.executescript("UPDATE keys SET roles = '[\"admin\"]'")
    connection.close()
    with pytest.raises(StoreError, match="an API key is not as the audit trail says"):
        opened(file, clock)


# --- An identity provider ----------------------------------------------------------------------------------


@pytest.fixture
def provider() -> Iterator[Pages]:
    with serving() as pages:
        pages.put(
            "/.well-known/openid-configuration",
            {"issuer": pages.address, "jwks_uri": pages.address + "/jwks"},
        )
        pages.put("/jwks", public(signer()))
        yield pages


def test_tokens_beside_keys(file: Path, clock: ManualClock, provider: Pages) -> None:
    secret = create(file)
    with opened(file, clock, ANYWHERE, trust=Trust(provider.address, AUDIENCE)) as access:
        assert access.told() == ["1 API key in force", f"tokens of {provider.address} for headwater"]
        text = token(iss=provider.address)
        assert not access.due(secret)
        assert not access.due(None)
        assert access.due(text)
        access.refresh()
        assert not access.due(text)
        ada = access.authenticate(text)
        assert ada.id == "oidc:ada"
        assert ada.roles == {Role.DECIDE}
        assert access.holds(ada)
        assert access.authenticate(secret).kind == "key"
        clock.advance("10m")
        assert not access.holds(ada)
        with pytest.raises(CredentialExpiredError):
            access.authenticate(text)
        with pytest.raises(CredentialMissingError):
            access.authenticate(None)


def test_with_a_provider_any_address_and_no_open_door(
    file: Path, clock: ManualClock, provider: Pages
) -> None:
    with opened(file, clock, ANYWHERE, trust=Trust(provider.address, AUDIENCE)) as access:
        assert not access.is_open


def test_a_provider_must_be_reached_safely(file: Path, clock: ManualClock) -> None:
    for trust, jwks, variable in (
        (Trust("http://login.bank.example", AUDIENCE), None, "HEADWATER_OIDC_ISSUER"),
        (Trust("https://login.bank.example", AUDIENCE), "http://login.bank.example/k", "HEADWATER_OIDC_JWKS"),
    ):
        with says(
            AccessError,
            f"""
            the identity provider's address is not safe
              expected: an https address without user and password
              where:    {variable}
              do:       whoever is on the way could give us keys of their own; use https
            """,
        ):
            opened(file, clock, trust=trust, jwks=jwks)


def test_a_key_with_a_rate_of_its_own_and_when_it_was_used(file: Path, clock: ManualClock) -> None:
    with CredentialStore.open(file) as store:
        _, slow = store.create("slow", [Role.DECIDE], now=NOW, actor="cli:ada", rate=1)
        _, usual = store.create("usual", [Role.DECIDE], now=NOW, actor="cli:ada")
    with opened(file, clock) as access:
        assert [access.authenticate(slow.reveal()).rate for _ in range(2)] == [1.0, 1.0]
        with pytest.raises(RateError, match="at most 1 a second, and 2 at once"):
            access.authenticate(slow.reveal())
        for _ in range(100):
            access.authenticate(usual.reveal())
    with CredentialStore.open(file) as store:
        assert {key.name: key.used for key in store.listing()} == {"slow": NOW, "usual": NOW}
