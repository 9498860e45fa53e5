"""``headwater keys``: secrets are shown once, and acts are written down."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from headwater.core.instant import DAY, HOUR, instant
from headwater.store.credentials import CredentialStore
from tests.apps.cli.conftest import Ended, Headwater

pytestmark = pytest.mark.usefixtures("place")


def created(headwater: Headwater, name: str = "loader", *more: str) -> dict[str, Any]:
    ended = headwater("keys", "create", name, "--role", "ingest", *more, "--json")
    assert ended.code == 0, ended.out
    return dict(ended.json)


def taken(secret: str, at: int) -> str:
    """The name of the key that a secret proves."""
    with CredentialStore.open(".headwater/access.db") as store:
        return store.authenticate(secret, at).name


def keys(headwater: Headwater, *more: str) -> list[dict[str, Any]]:
    return list(headwater("keys", "list", "--json", *more).json["keys"])


def test_create_and_list(headwater: Headwater) -> None:
    made = created(headwater, "loader", "--role", "decide", "--expires", "90d")
    key = made["key"]
    assert (key["name"], key["roles"], key["state"]) == ("loader", ["ingest", "decide"], "active")
    start = instant(key["created"])
    assert instant(key["expires"]) == start + 90 * DAY
    assert taken(made["secret"], start) == "loader"
    assert keys(headwater) == [key]


def test_the_secret_is_shown_once(headwater: Headwater) -> None:
    ended = headwater("keys", "create", "loader", "--role", "ingest")
    head, secret = ended.out.splitlines()
    assert head.startswith("The key loader (")
    assert head.endswith(") may ingest; it never ends.")
    assert ended.err == "This is its secret. It is not kept here and cannot be shown again.\n"
    for args in (("keys", "list", "--all"), ("audit", "trail"), ("audit", "verify")):
        for shown in (headwater(*args), headwater(*args, "--json")):
            assert shown.code == 0
            assert secret.split("_")[2] not in shown.out + shown.err
    for file in Path(".headwater").iterdir():
        assert secret.split("_")[2].encode() not in file.read_bytes()


def test_a_secret_into_a_file(headwater: Headwater) -> None:
    made = created(headwater, "loader", "--secret-file", "loader.secret")
    file = Path("loader.secret")
    assert made["secret_file"] == "loader.secret"  # noqa: S105 - a file's name
    assert "secret" not in made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert taken(file.read_text(encoding="ascii").strip(), instant(made["key"]["created"])) == "loader"


def test_a_file_that_is_there_is_left_alone(headwater: Headwater) -> None:
    Path("mine").write_text("mine", encoding="utf-8")
    headwater("keys", "create", "loader", "--role", "ingest", "--secret-file", "mine").fails(
        4,
        """
        the file for the secret is there already
          expected: a new file
          where:    mine
          do:       name another one, or remove it first
        """,
    )
    assert Path("mine").read_text(encoding="utf-8") == "mine"
    assert keys(headwater) == []


def test_no_file_is_left_where_no_key_came_to_be(headwater: Headwater) -> None:
    created(headwater)
    ended = headwater("keys", "create", "loader", "--role", "ingest", "--secret-file", "s")
    assert ended.code == 4
    assert not Path("s").exists()


def test_rotate(headwater: Headwater) -> None:
    old = created(headwater)
    ended = headwater("keys", "rotate", "loader", "--grace", "1h", "--json")
    new = ended.json
    start = instant(new["key"]["rotated"])
    assert new["key"]["id"] == old["key"]["id"]
    assert instant(new["key"]["old_until"]) == start + HOUR
    assert taken(old["secret"], start + HOUR - 1) == taken(new["secret"], start + 2 * HOUR) == "loader"
    told = headwater("keys", "rotate", "loader", "--grace", "0s")
    assert f"The secret before is good until {keys(headwater)[0]['old_until']}.\n" in told.err


def test_revoke(headwater: Headwater) -> None:
    made = created(headwater)
    ended = headwater("keys", "revoke", made["key"]["id"])
    assert ended.out == f"The key loader ({made['key']['id']}) is revoked.\n"
    assert keys(headwater) == []
    assert [key["state"] for key in keys(headwater, "--all")] == ["revoked"]
    headwater("keys", "revoke", "loader").fails(
        4,
        """
        there is no such key
          expected: the id or name of a key that is not revoked
          got:      a revoked key
          do:       see `headwater keys list`
        """,
    )


def test_no_keys(headwater: Headwater) -> None:
    ended = headwater("keys", "list")
    assert (ended.code, ended.out) == (0, "No API keys.\n")
    assert ended.err == "make one with `headwater keys create NAME --role ROLE`\n"


def test_a_role_that_there_is_not(headwater: Headwater) -> None:
    ended = headwater("keys", "create", "loader", "--role", "root")
    assert ended.code == 2
    assert "'root' is not one of 'ingest', 'decide', 'analyst', 'admin'" in ended.err
    assert headwater("keys", "create", "loader").code == 2


def test_an_end_in_the_past_and_one_that_is_none(headwater: Headwater) -> None:
    assert "would be expired already" in _text(
        headwater("keys", "create", "a", "--role", "ingest", "--expires", "2020-01-01")
    )
    assert headwater("keys", "create", "a", "--role", "ingest", "--expires", "soon").code == 4
    assert keys(headwater) == []


def _text(ended: Ended) -> str:
    assert ended.code == 4
    return ended.err


@pytest.mark.parametrize("name", ["x'; DROP TABLE keys; --", "Zoë 信用", "[bold]x[/bold]", "--help me"])
def test_odd_names(headwater: Headwater, name: str) -> None:
    ended = headwater("keys", "create", "--role", "ingest", "--", name)
    assert (ended.code, keys(headwater)[0]["name"]) == (0, name)
    assert name in headwater("keys", "list").out
    assert headwater("keys", "revoke", "--", name).code == 0


# --- audit trail -------------------------------------------------------------------------------------------


def test_the_trail(headwater: Headwater) -> None:
    assert headwater("audit", "trail").out == "Nothing was administered.\n"
    made = created(headwater)
    headwater("keys", "rotate", "loader")
    headwater("keys", "revoke", "loader")
    entries = headwater("audit", "trail", "--json").json["entries"]
    assert [(one["number"], one["action"]) for one in entries] == [
        (3, "key.revoke"),
        (2, "key.rotate"),
        (1, "key.create"),
    ]
    assert {one["target"] for one in entries} == {made["key"]["id"]}
    assert all(one["actor"].startswith("cli:") for one in entries)
    assert len(headwater("audit", "trail", "--json", "-n", "1").json["entries"]) == 1
    for option, count in (("key", 3), ("key.rotate", 1), ("model", 0), ("ke", 0)):
        found = headwater("audit", "trail", "--json", "--action", option).json["entries"]
        assert len(found) == count, option
    assert headwater("audit", "trail", "--json", "--actor", "cli:nobody").json["entries"] == []
    table = headwater("audit", "trail").out
    assert "key.rotate" in table
    assert json.dumps(entries[0]["details"]["secret"]) not in table


def test_a_rate_and_the_last_use_are_listed(headwater: Headwater) -> None:
    made = created(headwater, "loader", "--rate", "2.5")
    start = instant(made["key"]["created"])
    with CredentialStore.open(".headwater/access.db") as store:
        store.authenticate(made["secret"], start + HOUR)
        store.note_uses()
    (key,) = keys(headwater)
    assert (key["rate"], instant(key["used"])) == (2.5, start + HOUR)
    assert "last used" in headwater("keys", "list").out
    assert headwater("keys", "create", "other", "--role", "ingest", "--rate", "-1").code == 2
