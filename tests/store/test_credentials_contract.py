"""API keys, wherever they lie: what a secret proves, what each act leaves in the trail, and what is found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from headwater.core.errors import (
    CredentialExpiredError,
    CredentialInvalidError,
    CredentialRevokedError,
    DataError,
    StoreError,
)
from headwater.core.instant import HOUR
from headwater.store.apikey import ApiKey, Role
from headwater.store.protocol import Credentials
from tests.letters import says
from tests.store.hosts import Host

NOW = 1_800_000_000_000_000
ADA = "cli:ada"


def create(store: Credentials, name: str = "loader", **more: int) -> tuple[ApiKey, str]:
    key, secret = store.create(name, [Role.INGEST, Role.DECIDE], now=NOW, actor=ADA, **more)
    return key, secret.reveal()


def test_a_secret_proves_its_key_to_all_that_hold_the_keys(host: Host) -> None:
    with host.credentials() as store, host.credentials() as other:
        key, secret = create(store)
        second, _ = create(store, "Zoë")
        assert store.authenticate(secret, NOW) == other.authenticate(secret, NOW) == key
        assert other.find(key.id) == key
        assert other.find("000000000000") is None
        assert {one.name for one in other.listing()} == {"loader", "Zoë"}
        assert (len(other), other.any(NOW), other.verify()) == (2, True, 2)
        for wrong in ("", "hw_", secret[:-1], secret.replace(key.id, second.id), secret + "\0"):
            with says(
                CredentialInvalidError,
                """
                the credential is not known here
                  do:       send a key that `headwater keys create` gave, or a token of the identity provider
                """,
            ):
                other.authenticate(wrong, NOW)


def test_what_one_does_to_a_key_another_sees_at_its_next_look(host: Host) -> None:
    with host.credentials() as store, host.credentials() as other:
        key, first = create(store)
        other.authenticate(first, NOW)
        rotated, secret = store.rotate("loader", now=NOW, actor=ADA, grace=HOUR, expires=NOW + 2 * HOUR)
        second = secret.reveal()
        assert (rotated.old_until, rotated.expires) == (NOW + HOUR, NOW + 2 * HOUR)
        assert other.authenticate(first, NOW) == other.authenticate(second, NOW) == rotated
        with pytest.raises(CredentialExpiredError, match="a newer secret"):
            other.authenticate(first, NOW + HOUR)
        with pytest.raises(CredentialExpiredError, match="is expired"):
            other.authenticate(second, NOW + 2 * HOUR)
        assert store.revoke(key.id, now=NOW + 1, actor=ADA).revoked == NOW + 1
        for one in (store, other):
            with pytest.raises(CredentialRevokedError):
                one.authenticate(second, NOW)
        assert (store.verify(), other.verify()) == (1, 1)


def test_each_act_stands_in_the_trail_with_what_it_left(host: Host) -> None:
    with host.credentials() as store, host.trail() as trail:
        key, secret = create(store)
        store.rotate("loader", now=NOW + 1, actor="cli:bob", grace=0)
        store.revoke("loader", now=NOW + 2, actor=ADA)
        entries = trail.page()
        assert [(one.act.at, one.act.actor, one.act.action, one.act.target) for one in entries] == [
            (NOW, ADA, "key.create", key.id),
            (NOW + 1, "cli:bob", "key.rotate", key.id),
            (NOW + 2, ADA, "key.revoke", key.id),
        ]
        assert entries[2].act.details["revoked"] == NOW + 2
        assert entries[1].act.details["old_secret"] == entries[0].act.details["secret"] != secret
        assert trail.verify().count == 3


def test_a_refused_act_leaves_nothing(host: Host) -> None:
    with host.credentials() as store, host.trail() as trail:
        create(store)
        for name in ("loader", "LOADER", "ｌoader"):
            with pytest.raises(DataError, match="there is a key of this name"):
                create(store, name)
        with pytest.raises(DataError, match="there is no such key"):
            store.revoke("other", now=NOW, actor=ADA)
        with pytest.raises(
            StoreError, match="an act cannot be written"
        ):  # behind the key, in its transaction
            store.create("next", [Role.INGEST], now=NOW, actor="a" * 70_000)
        assert (len(store), len(trail), store.verify()) == (1, 1, 1)


def test_of_those_who_take_a_name_at_once_one_gets_it(host: Host) -> None:
    def work(_: int) -> bool:
        with host.credentials() as store:
            try:
                create(store)
            except DataError:
                return False
            return True

    with host.credentials():  # the file is there
        pass
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 1
    with host.credentials() as store, host.trail() as trail:
        assert (store.verify(), trail.verify().count) == (1, 1)


def test_uses_are_written_down_later_and_never_go_back(host: Host) -> None:
    with host.credentials() as store, host.credentials() as other:
        _, secret = create(store)
        create(store, "idle")
        for late in range(3):
            store.authenticate(secret, NOW + late)
        assert (store.note_uses(), store.note_uses()) == (1, 0)
        other.authenticate(secret, NOW + 1)
        assert other.note_uses() == 1
        assert {one.name: one.used for one in other.listing()} == {"loader": NOW + 2, "idle": None}
        assert store.verify() == 2


@pytest.mark.parametrize(
    ("statement", "expected", "got"),
    [
        (
            "UPDATE {api_keys} SET roles = '[\"admin\"]'",
            "the key as the last act on it left it",
            "another name, role, time or secret",
        ),
        (
            "UPDATE {api_keys} SET roles = 'x'",
            "the key as the last act on it left it",
            "another name, role, time or secret",
        ),
        (
            "UPDATE {api_keys} SET expires = NULL, rate = 0",
            "the key as the last act on it left it",
            "another name, role, time or secret",
        ),
        ("DELETE FROM {api_keys}", "the key as the last act on it left it", "no such key"),
        ("DELETE FROM {trail}", "no such key", "another name, role, time or secret"),
    ],
)
def test_a_key_that_was_changed_by_hand_is_found(host: Host, statement: str, expected: str, got: str) -> None:
    with host.credentials() as store:
        key, _ = create(store, expires=NOW + HOUR)
    host.tamper(statement)
    with (
        host.credentials() as store,
        says(
            StoreError,
            f"""
            an API key is not as the audit trail says
              expected: {expected}
              got:      {got}
              where:    {host.trail_place}, key {key.id}
              do:       restore the records from a copy, or revoke the key; somebody wrote past Headwater
            """,
        ),
    ):
        store.verify()
