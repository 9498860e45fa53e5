"""API keys while the database is away: those that were seen open on, for an hour; others get 503."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import psycopg
import pytest

from headwater.apps.access.door import Access
from headwater.apps.access.settings import AccessSettings
from headwater.apps.cli.recording import warn_of_left_keys
from headwater.apps.cli.screen import Screen
from headwater.apps.database import DatabaseSettings
from headwater.apps.http.app import create_app
from headwater.apps.stores import records_of
from headwater.core.errors import CredentialInvalidError, CredentialMissingError, UnavailableError
from headwater.core.instant import HOUR
from headwater.core.secret import Secret
from headwater.scale.postgres.door import Address, Database, PostgresCredentials, PostgresTrail, upgrade
from headwater.store.apikey import Role
from headwater.store.audit import Act
from headwater.store.credentials import CredentialStore
from headwater.testing import ManualClock
from tests.http.house import listening, open_service
from tests.letters import says
from tests.scale.postgres.conftest import Own
from tests.store.hosts import Postgres

pytestmark = pytest.mark.services
NOW = 1_800_000_000_000_000
SECOND = 1_000_000
STRANGER = f"hw_{'0' * 12}_{'0' * 64}"


def test_keys_that_were_seen_open_on_for_an_hour(own: Own, tmp_path: Path) -> None:
    settings, clock = DatabaseSettings(Secret(own.url), patience=0.1), ManualClock(NOW)
    database = Database(Address.read(Secret(own.url)))
    upgrade(database)
    database.close()
    with (
        records_of(tmp_path / "a", settings) as records,
        records.credentials() as desk,
        open_service(tmp_path / "bank") as service,
    ):
        secret = desk.create("loader", [Role.DECIDE], now=NOW, actor="cli:ada")[1].reveal()
        with Access.of(
            AccessSettings(),
            records,
            host="0.0.0.0",  # noqa: S104
            clock=clock,
            stopwatch=clock.now,
        ) as access:
            app = create_app(service, time.perf_counter_ns, access=access)
            with listening(app) as url:

                def asked(key: str) -> httpx.Response:
                    clock.advance(SECOND)
                    return httpx.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"})

                assert [asked(one).status_code for one in (secret, STRANGER)] == [200, 401]
                own.crash()
                assert access.look() is False
                assert asked(secret).status_code == 200
                refused = asked(STRANGER)
                assert (refused.status_code, refused.headers["Retry-After"]) == (503, "10")
                clock.advance(HOUR)
                assert asked(secret).status_code == 503
                with pytest.raises(UnavailableError):
                    access.credentials.note_uses()
                own.start()
                end = time.monotonic() + 20
                while not access.look():
                    assert time.monotonic() < end, "the database is not seen again"
                    time.sleep(0.05)
                assert [asked(one).status_code for one in (secret, STRANGER)] == [200, 401]
                assert access.credentials.note_uses() == 1


def test_what_is_said_where_nobody_can_say_whose_a_secret_is(shared: Postgres) -> None:
    store = PostgresCredentials(shared.database())
    with says(
        UnavailableError,
        f"""
        the API keys cannot be looked up: the database is away
          where:    {shared.place}
          do:       try again; if it lasts, look at the database
        """,
    ):
        store.authenticate(STRANGER, NOW, look=False)  # nothing was looked at yet
    with pytest.raises(CredentialInvalidError):
        store.authenticate(STRANGER, NOW)
    with pytest.raises(UnavailableError):
        store.authenticate(STRANGER, NOW + 6 * SECOND, look=False)


def test_a_server_looks_anew_only_if_keys_were_changed_and_for_unknown_secrets_seldom(
    shared: Postgres,
) -> None:
    store, desk = PostgresCredentials(shared.database()), PostgresCredentials(shared.database())
    secret = desk.create("loader", [Role.INGEST], now=NOW, actor="cli:ada")[1].reveal()
    assert store.due(secret, NOW)
    for late in range(3):
        assert store.look(NOW + late)
        assert store.authenticate(secret, NOW + late, look=False).name == "loader"
    assert store.lookups() == (3, 1)
    assert not store.due(secret, NOW + SECOND)
    assert [store.due(STRANGER, NOW + wait) for wait in (50_000, 200_000)] == [False, True]


def test_keys_are_revoked_and_never_deleted(shared: Postgres) -> None:
    PostgresCredentials(shared.database()).create("loader", [Role.INGEST], now=NOW, actor="cli:ada")
    for statement in ("DELETE FROM headwater.api_keys", "TRUNCATE headwater.api_keys"):
        with pytest.raises(psycopg.errors.RaiseException, match="API keys are never deleted"):
            shared.run(statement)


def test_keys_of_the_folder_open_nothing_and_keep_the_server_closed(
    shared: Postgres, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with CredentialStore.open(tmp_path / "access.db") as store:
        secret = store.create("old", [Role.ADMIN], now=NOW, actor="cli:ada")[1].reveal()
    clock, screen = ManualClock(NOW), Screen(as_json=False)

    def told() -> str:
        with (
            records_of(tmp_path, DatabaseSettings(Secret(shared.url))) as records,
            Access.of(
                AccessSettings(), records, host="127.0.0.1", clock=clock, stopwatch=clock.now
            ) as access,
        ):
            with pytest.raises(CredentialMissingError):
                access.authenticate(None)
            with pytest.raises(CredentialInvalidError):
                access.authenticate(secret)
            warn_of_left_keys(screen, records, access, NOW)
        return capsys.readouterr().err

    assert told() == (
        "the database has no API keys in force; the 1 of the data folder open nothing any more:"
        " make new ones with `headwater keys create`\n"
    )
    PostgresCredentials(shared.database()).create("new", [Role.ADMIN], now=NOW, actor="cli:ada")
    assert told() == ""


def test_tables_from_before_there_were_keys_get_them(own: Own) -> None:
    database = Database(Address.read(Secret(own.url)))
    upgrade(database)
    with psycopg.connect(own.url, autocommit=True) as older:
        older.execute("DROP TABLE headwater.api_keys, headwater.api_key_uses, headwater.api_key_changes")
        older.execute("DROP FUNCTION headwater.remain, headwater.tell_key_change")
        older.execute("UPDATE headwater.schema_version SET version_num = '0001'")
    PostgresTrail(database).append(Act(NOW, "cli:ada", "model.promote", "risk"))
    assert upgrade(database).state == "older"
    store = PostgresCredentials(database)
    store.create("loader", [Role.INGEST], now=NOW, actor="cli:ada")
    assert (store.verify(), PostgresTrail(database).verify().count) == (1, 2)
    database.close()
