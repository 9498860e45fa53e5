"""API keys: what a secret proves, for how long, and what a thief of the file or a guesser learns: nothing."""

from __future__ import annotations

import re
import sqlite3
import statistics
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.core.errors import (
    CredentialExpiredError,
    CredentialInvalidError,
    CredentialRevokedError,
    DataError,
    StoreError,
)
from headwater.core.instant import DAY, HOUR
from headwater.store.audit import AuditTrail
from headwater.store.credentials import ApiKey, CredentialStore, Role
from tests.letters import says

NOW = 1_800_000_000_000_000
ADA = "cli:ada"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.db"


@pytest.fixture
def store(path: Path) -> Iterator[CredentialStore]:
    with CredentialStore.open(path) as made:
        yield made


def create(store: CredentialStore, name: str = "loader", expires: int | None = None) -> tuple[ApiKey, str]:
    key, secret = store.create(name, [Role.INGEST, Role.DECIDE], now=NOW, actor=ADA, expires=expires)
    return key, secret.reveal()


def test_a_secret_proves_its_key(store: CredentialStore) -> None:
    key, secret = create(store)
    other, other_secret = create(store, "other")
    assert re.fullmatch(r"hw_[0-9a-f]{12}_[0-9a-f]{64}", secret)
    assert store.authenticate(secret, NOW) == key == store.find(key.id)
    assert store.authenticate(other_secret, NOW) == other
    assert key == ApiKey(key.id, "loader", (Role.INGEST, Role.DECIDE), NOW)
    assert store.listing() == sorted([key, other], key=lambda one: (one.created, one.id))
    assert (len(store), store.verify()) == (2, 2)


INVALID = """
the credential is not known here
  do:       send a key that `headwater keys create` gave, or a token of the identity provider
"""


def test_whatever_is_wrong_the_answer_is_the_same(store: CredentialStore) -> None:
    key, secret = create(store)
    last = "0" if secret[-1] != "0" else "1"
    wrong = [
        "",
        "hw_",
        secret[:-1] + last,
        secret[:-1],
        secret + "0",
        secret.upper(),
        f" {secret}",
        f"{secret}\n",
        secret.replace(key.id, "000000000000"),
        f"hw_{key.id}_{'0' * 64}",
        "hw_' OR '1'='1_" + "0" * 64,
        f"hw_{key.id}_" + "٠" * 64,  # digits, but not ASCII
        "\udcff" * 10,
        "x" * 1_000_000,
    ]
    for text in wrong:
        with says(CredentialInvalidError, INVALID):
            store.authenticate(text, NOW)


def test_expired_and_revoked_are_told_to_the_holder_alone(store: CredentialStore) -> None:
    key, secret = create(store, expires=NOW + DAY)
    assert store.authenticate(secret, NOW + DAY - 1) == key
    with says(CredentialExpiredError, "the key is expired\n  do:       ask for a new one, or for a new end"):
        store.authenticate(secret, NOW + DAY)
    store.revoke(key.id, now=NOW, actor=ADA)
    with says(CredentialRevokedError, "the key was revoked\n  do:       ask for a new one"):
        store.authenticate(secret, NOW)
    with says(CredentialInvalidError, INVALID):
        store.authenticate(f"hw_{key.id}_{'0' * 64}", NOW)


def test_rotation_keeps_the_old_secret_for_its_grace(store: CredentialStore) -> None:
    # secret 1 |-----------------)
    # secret 2          |------------------------
    #               rotated   grace over
    key, first = create(store)
    rotated, secret = store.rotate("loader", now=NOW + 5, actor=ADA, grace=HOUR)
    second = secret.reveal()
    assert second != first
    assert (rotated.id, rotated.roles, rotated.rotated) == (key.id, key.roles, NOW + 5)
    assert rotated.old_until == NOW + 5 + HOUR
    for one in (first, second):
        assert store.authenticate(one, NOW + HOUR).id == key.id
    assert store.authenticate(second, NOW + 2 * HOUR).id == key.id
    with says(CredentialExpiredError, "the key has a newer secret\n  do:       use the newer one"):
        store.authenticate(first, NOW + 5 + HOUR)
    assert store.verify() == 1


def test_at_most_two_secrets_are_good(store: CredentialStore) -> None:
    _, first = create(store)
    _, second = store.rotate("loader", now=NOW, actor=ADA, grace=DAY)
    _, third = store.rotate("loader", now=NOW, actor=ADA, grace=DAY)
    for good in (second, third):
        assert store.authenticate(good.reveal(), NOW).name == "loader"
    with pytest.raises(CredentialInvalidError):
        store.authenticate(first, NOW)


def test_rotation_without_grace(store: CredentialStore) -> None:
    _, first = create(store)
    store.rotate("loader", now=NOW, actor=ADA, grace=0)
    with pytest.raises(CredentialExpiredError):
        store.authenticate(first, NOW)


def test_revoking_ends_both_secrets(store: CredentialStore) -> None:
    _, first = create(store)
    _, second = store.rotate("loader", now=NOW, actor=ADA, grace=DAY)
    store.revoke("loader", now=NOW, actor=ADA)
    for secret in (first, second.reveal()):
        with pytest.raises(CredentialRevokedError):
            store.authenticate(secret, NOW)


def test_an_expired_key_is_rotated_only_with_a_new_end(store: CredentialStore) -> None:
    create(store, expires=NOW + 1)
    with pytest.raises(DataError, match="would be expired already"):
        store.rotate("loader", now=NOW + 5, actor=ADA, grace=0)
    key, secret = store.rotate("loader", now=NOW + 5, actor=ADA, grace=0, expires=NOW + DAY)
    assert store.authenticate(secret.reveal(), NOW + 6) == key


def test_another_process_sees_it_at_once(store: CredentialStore, path: Path) -> None:
    key, secret = create(store)
    with CredentialStore.open(path) as other:
        other.revoke(key.id, now=NOW, actor=ADA)
    with pytest.raises(CredentialRevokedError):
        store.authenticate(secret, NOW)


# --- What a thief of the file gets -----------------------------------------------------------------


def test_no_secret_lies_in_any_file_or_repr(store: CredentialStore, path: Path) -> None:
    key, first = create(store)
    _, second = store.rotate("loader", now=NOW, actor=ADA, grace=DAY)
    files = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for secret in (first, second.reveal()):
        assert secret.encode() not in files
        assert secret.split("_")[2].encode() not in files
        assert secret not in repr((store.listing(), key, second))


def test_a_hash_of_the_file_is_no_credential(store: CredentialStore, path: Path) -> None:
    key, _ = create(store)
    (digest,) = sqlite3.connect(path).execute("SELECT digest FROM keys").fetchone()
    with AuditTrail.open(path) as trail:
        told = trail.page()[0].act.details["secret"]
    for known in (digest.hex(), told):
        with pytest.raises(CredentialInvalidError):
            store.authenticate(f"hw_{key.id}_{known}", NOW)
    assert told != digest.hex()


def test_the_time_says_nothing(store: CredentialStore) -> None:
    key, secret = create(store)
    tail = secret.split("_")[2]
    wrong = {
        "no such key": f"hw_{'0' * 12}_{tail}",
        "wrong from the start": f"hw_{key.id}_{'f' * 64}",
        "wrong at the end": secret[:-1] + ("0" if secret[-1] != "0" else "1"),
    }
    took: dict[str, list[int]] = {name: [] for name in wrong}
    for _ in range(300):
        for name, text in wrong.items():
            before = time.perf_counter_ns()
            with pytest.raises(CredentialInvalidError):
                store.authenticate(text, NOW)
            took[name].append(time.perf_counter_ns() - before)
    fastest = {name: statistics.quantiles(times, n=10)[0] for name, times in took.items()}
    right, end = fastest["wrong from the start"], fastest["wrong at the end"]
    assert abs(right - end) < 0.3 * right, fastest
    assert max(fastest.values()) < 2.5 * min(fastest.values()), fastest  # the id is no secret


# --- Acts stand in the trail, and the table follows from it --------------------------------------------


def test_each_act_is_in_the_trail(store: CredentialStore, path: Path) -> None:
    key, _ = create(store)
    store.rotate("loader", now=NOW + 1, actor="cli:bob", grace=5)
    store.revoke(key.id, now=NOW + 2, actor="key:abc")
    with AuditTrail.open(path) as trail:
        found = [(one.act.at, one.act.actor, one.act.action, one.act.target) for one in trail.page()]
        last = trail.newest(1)[0].act.details
        trail.verify()
    assert found == [
        (NOW, ADA, "key.create", key.id),
        (NOW + 1, "cli:bob", "key.rotate", key.id),
        (NOW + 2, "key:abc", "key.revoke", key.id),
    ]
    assert (last["name"], last["roles"], last["revoked"]) == ("loader", ["ingest", "decide"], NOW + 2)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE keys SET roles = '[\"admin\"]'",
        "UPDATE keys SET roles = 'nonsense'",
        "UPDATE keys SET revoked = NULL",
        "UPDATE keys SET expires = NULL",
        "UPDATE keys SET name = 'other'",
        "UPDATE keys SET digest = zeroblob(32)",
        "UPDATE keys SET digest = NULL WHERE 0; UPDATE keys SET digest = 'text'",
        "UPDATE keys SET old_digest = zeroblob(32), old_until = 9000000000000000",
        "DROP TRIGGER keys_remain; DELETE FROM keys",
        "INSERT INTO keys SELECT 'aaaaaaaaaaaa', name, roles, 0, 0, 0, digest, 0, digest, 0, 0 FROM keys",
    ],
)
def test_a_key_written_by_hand_is_found(store: CredentialStore, path: Path, statement: str) -> None:
    key, _ = create(store, expires=NOW + DAY)
    store.revoke(key.id, now=NOW, actor=ADA)
    connection = sqlite3.connect(path)
    connection.executescript(statement)
    connection.close()
    with pytest.raises(
        StoreError, match=r"an API key is not as the audit trail says\n(.|\n)*key [0-9a-f]{12}"
    ):
        store.verify()


def test_the_letter_of_a_key_written_by_hand(store: CredentialStore, path: Path) -> None:
    key, _ = create(store)
    connection = sqlite3.connect(path)
    connection.executescript("UPDATE keys SET roles = '[\"admin\"]'")
    connection.close()
    with says(
        StoreError,
        f"""
        an API key is not as the audit trail says
          expected: the key as the last act on it left it
          got:      another name, role, time or secret
          where:    {path}, key {key.id}
          do:       restore the records from a copy, or revoke the key; somebody wrote past Headwater
        """,
    ):
        store.verify()


def test_keys_are_never_deleted(store: CredentialStore, path: Path) -> None:
    create(store)
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.DatabaseError, match="revoked, never deleted"):
        connection.execute("DELETE FROM keys")
    connection.close()


def test_an_act_that_fails_leaves_neither_key_nor_entry(store: CredentialStore, path: Path) -> None:
    create(store)
    for wrong in ("loader", "LOADER", "ｌoader"):
        with pytest.raises(DataError):
            create(store, wrong)
    with AuditTrail.open(path) as trail:
        assert (len(store), len(trail)) == (1, 1)


# --- Names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["x'; DROP TABLE keys; --", '"', "Zoë", "信用", "a b", "%s {0}", "../../etc/passwd", "🔑", "O'Brien"],
)
def test_names_of_any_script_are_taken_as_they_are(store: CredentialStore, name: str) -> None:
    key, secret = create(store, name)
    assert store.authenticate(secret, NOW).name == key.name == unicodedata.normalize("NFC", name)
    store.rotate(name, now=NOW, actor=ADA, grace=0)
    store.revoke(name, now=NOW, actor=ADA)
    assert store.verify() == 1


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("", "0 characters"),
        ("x" * 65, "65 characters"),
        (" x", "2 characters"),
        ("a\nb", "the character U+000A"),
        ("a\x1b[31m", "the character U+001B"),
        ("a\u202eb", "the character U+202E"),  # turns the reading direction
        ("a\u200bb", "the character U+200B"),  # is not seen
        ("a\u00a0b", "the character U+00A0"),  # looks like a space
        ("a\0b", "the character U+0000"),
        ("a\udcff", "the character U+DCFF"),
    ],
)
def test_names_that_hide_or_steer_are_refused(store: CredentialStore, name: str, got: str) -> None:
    with says(
        DataError,
        f"""
        the name of a key is unfit
          expected: 1 to 64 visible characters, spaces only between them
          got:      {got}
          do:       choose another name
        """,
    ):
        create(store, name)


def test_a_name_can_be_used_again_once_its_key_is_revoked(store: CredentialStore) -> None:
    first, _ = create(store)
    store.revoke("loader", now=NOW, actor=ADA)
    second, _ = create(store)
    assert store.revoke("loader", now=NOW, actor=ADA).id == second.id != first.id


def test_no_such_key(store: CredentialStore) -> None:
    with says(
        DataError,
        """
        there is no such key
          expected: the id or name of a key that is not revoked
          do:       see `headwater keys list`
        """,
    ):
        store.revoke("loader", now=NOW, actor=ADA)
    create(store)
    store.revoke("loader", now=NOW, actor=ADA)
    with pytest.raises(DataError, match=r"got: {6}a revoked key"):
        store.rotate("loader", now=NOW, actor=ADA, grace=0)


def test_a_key_called_like_another_keys_id(store: CredentialStore) -> None:
    key, _ = create(store)
    create(store, key.id)
    with pytest.raises(DataError, match="more than one key is called so"):
        store.revoke(key.id, now=NOW, actor=ADA)


def test_a_key_needs_a_role_and_a_future(store: CredentialStore) -> None:
    with says(
        DataError,
        """
        a key without a role may do nothing
          expected: one or more of ingest, decide, analyst, admin
          where:    loader
          do:       name a role
        """,
    ):
        store.create("loader", [], now=NOW, actor=ADA)
    with says(
        DataError,
        """
        the key would be expired already
          expected: an end behind 2027-01-15T08:00:00Z
          got:      2027-01-15T08:00:00Z
          where:    loader
          do:       give a later end
        """,
    ):
        create(store, expires=NOW)


# --- Rates, uses, and what is remembered ---------------------------------------------------------------


def test_a_key_has_a_rate_of_its_own(store: CredentialStore) -> None:
    key, secret = store.create("batch", [Role.INGEST], now=NOW, actor=ADA, rate=2.5)
    assert (key.rate, store.authenticate(secret.reveal(), NOW).rate) == (2.5, 2.5)
    assert store.rotate("batch", now=NOW, actor=ADA, grace=0)[0].rate == 2.5
    assert create(store)[0].rate is None
    assert store.verify() == 2
    with says(
        DataError,
        """
        the rate is none
          expected: requests a second, from 0 (no limit) to 1,000,000
          got:      -1
          where:    other
          do:       give another rate
        """,
    ):
        store.create("other", [Role.INGEST], now=NOW, actor=ADA, rate=-1)


def test_when_a_key_was_last_used_is_written_down_later(store: CredentialStore, path: Path) -> None:
    key, secret = create(store)
    create(store, "idle")
    for late in range(3):
        store.authenticate(secret, NOW + late)
    assert [one.used for one in store.listing()] == [None, None]
    assert (store.note_uses(), store.note_uses()) == (1, 0)
    with CredentialStore.open(path) as other:
        assert {one.name: one.used for one in other.listing()} == {"loader": NOW + 2, "idle": None}
        other.authenticate(secret, NOW + 1)
        other.note_uses()  # an older use of another server
        assert {one.used for one in other.listing()} == {NOW + 2, None}
        assert other.verify() == 2
    assert store.find(key.id) == key


def test_a_use_that_cannot_be_written_is_tried_again(store: CredentialStore, path: Path) -> None:
    _, secret = create(store)
    store.authenticate(secret, NOW)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("ALTER TABLE uses RENAME TO used_before")
        with pytest.raises(StoreError, match="cannot be used"):
            store.note_uses()
        other.execute("ALTER TABLE used_before RENAME TO uses")
    other.close()
    assert store.note_uses() == 1


def test_a_remembered_key_follows_whatever_others_do(store: CredentialStore, path: Path) -> None:
    key, secret = create(store)
    for _ in range(3):
        store.authenticate(secret, NOW)
    assert store.lookups() == (2, 1)
    with CredentialStore.open(path) as other:
        new = other.rotate(key.id, now=NOW, actor=ADA, grace=HOUR)[1].reveal()
        assert store.authenticate(secret, NOW).rotated == NOW
        with pytest.raises(CredentialExpiredError):
            store.authenticate(secret, NOW + HOUR)
        store.authenticate(new, NOW)
        other.revoke(key.id, now=NOW, actor=ADA)
        with pytest.raises(CredentialRevokedError):
            store.authenticate(new, NOW)
    store.create("next", [Role.INGEST], now=NOW, actor=ADA)
    assert store.lookups()[0] == 3


def test_a_remembered_key_still_ends(store: CredentialStore) -> None:
    _, secret = create(store, expires=NOW + HOUR)
    store.authenticate(secret, NOW)
    with pytest.raises(CredentialExpiredError):
        store.authenticate(secret, NOW + HOUR)


def test_a_file_from_before_there_were_rates(path: Path) -> None:
    with CredentialStore.open(path) as store:
        key, secret = create(store)
    with sqlite3.connect(path, isolation_level=None) as old:
        old.execute("ALTER TABLE keys DROP COLUMN rate")
        old.execute("DROP TABLE uses")
    old.close()
    with CredentialStore.open(path) as store:
        assert store.authenticate(secret, NOW) == key
        assert store.verify() == 1
        assert store.note_uses() == 1
    with AuditTrail.open(path) as trail:
        trail.verify()
