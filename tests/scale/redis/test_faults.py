"""Redis is emptied, restarted, robbed of a part; two servers own the same log; it would throw states away.

Whatever happens, a reading is the engine's own to the bit, or an error: never that of a stranger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from threading import Event, Thread
from typing import Any

import pytest

from headwater.apps.online import Online
from headwater.core.errors import FencedError, HeadwaterError, OnlineError
from headwater.core.secret import Secret
from headwater.scale.redis import names
from headwater.scale.redis.connection import Address
from headwater.scale.redis.vectors import OnlineVectors
from headwater.serving.rederive import Asked, rederive
from headwater.serving.vectors import Moment
from tests.apps.access.test_tls import made
from tests.http.house import open_service
from tests.http.test_events import pay
from tests.letters import says
from tests.scale.redis.cases import address, online, owner, project, published, until
from tests.scale.redis.server import server
from tests.serving.bank import micros, scoring

Answer = tuple[Asked, bytes]


class Asking:
    """Asks for some entities again and again, in a thread of its own."""

    def __init__(self, vectors: OnlineVectors, now: Callable[[], int]) -> None:
        self.answers: list[Answer] = []
        self.refused: list[HeadwaterError] = []
        self.odd: list[BaseException] = []
        self._vectors, self._now = vectors, now
        self._end = Event()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        who = 0
        while not self._end.wait(0.001):
            who = (who + 7) % 20
            try:
                found = self._vectors.vector(scoring(), {"who": who}, Moment(self._now(), exact=False), {})
            except OnlineError as error:
                self.refused.append(error)
            except BaseException as error:  # noqa: BLE001 - there must be none
                self.odd.append(error)
            else:
                self.answers.append((Asked({"who": who}, found.time, found.offset), found.x.tobytes()))

    def end(self) -> None:
        self._end.set()
        self._thread.join(20)

    def again(self) -> None:
        """Wait until it is answered."""
        before = len(self.answers)
        until(lambda: len(self.answers) > before)


def right(asking: Asking, log: Any) -> None:
    """Every answer is what the log says."""
    assert asking.odd == []
    asked = [one for one, _ in asking.answers]
    found = rederive(scoring(), asked, log)
    wrong = [one for row, one in zip(found, asking.answers, strict=True) if row.tobytes() != one[1]]
    assert not wrong, wrong[0]


@pytest.fixture
def services_redis(services: Mapping[str, str]) -> Address:
    return address(services)


@pytest.mark.usefixtures("services")
def test_emptied_and_restarted_under_load(tmp_path: Path) -> None:
    of = project()
    with server() as redis, owner(tmp_path, redis.address, of) as (service, publisher, hooks):
        published(service, publisher)
        asking = Asking(online(redis.address, of), service.now)
        try:
            for turn in range(12):
                events = [pay(90_000 + 10 * turn + i, (turn + i) % 20, 100.1 + turn / 100) for i in range(3)]
                service.submit_rows("payments", events, size=100).result(20)
                asking.again()
                if turn % 4 == 1:
                    redis.empty()
                if turn % 4 == 3:
                    redis.stop()
                    before = len(asking.refused)
                    until(lambda before=before: len(asking.refused) > before)  # type: ignore[misc]
                    redis.start()
            published(service, publisher)
            asking.again()
        finally:
            asking.end()
        right(asking, service.log)
        assert publisher.published.fillings >= 4
        reasons = {error.problems[0].got for error in asking.refused}
        assert reasons <= {
            "no state, or one that is being filled",
            "a part that is gone",
            "ConnectionError",
            "TimeoutError",
            "LOADING",
        }
        assert {where for where, _ in hooks.faults} == {"online"}


@pytest.mark.usefixtures("services")
def test_a_part_that_is_gone_is_seen_and_filled_again(tmp_path: Path) -> None:
    of = project()
    with server() as redis, owner(tmp_path, redis.address, of) as (service, publisher, _):
        published(service, publisher)
        vectors = online(redis.address, of)
        moment = Moment(service.now(), exact=False)
        wanted = vectors.vector(scoring(), {"who": 3}, moment, {})
        with redis.address.client() as client:
            generation = client.hget(names.marker(of.name), "whole").decode()
            number = names.number_of(names.field(3))
            client.delete(names.bucket(of.name, generation, "spending", number))
        with says(
            OnlineError,
            f"""
            the online store does not hold what decisions need
              expected: the whole state of the project's definitions
              got:      a part that is gone
              where:    {redis.address}
              do:       see that the log's owner runs with this project; it fills the store by itself
            """,
        ):
            vectors.vector(scoring(), {"who": 3}, moment, {})
        service.submit_rows("payments", [pay(95_000, 3, 99.0)], size=1).result(20)  # touches the bucket
        until(lambda: publisher.published.fillings == 2)
        published(service, publisher)
        found = vectors.vector(scoring(), {"who": 3}, moment, {})
        assert found.offset == wanted.offset + 1
        own = service.serving.vectors.vector(scoring(), {"who": 3}, moment, {})
        assert found.x.tobytes() == own.x.tobytes()


def test_the_older_of_two_owners_is_fenced(services_redis: Address, tmp_path: Path) -> None:
    of, told = project(), Event()
    with owner(tmp_path / "one", services_redis, of) as (first, older, hooks):
        older.on_fenced = told.set
        published(first, older)
        with owner(tmp_path / "two", services_redis, of) as (second, younger, _):
            published(second, younger)
            first.submit_rows("payments", [pay(96_000, 3, 100.4)], size=1).result(20)
            assert told.wait(20)
            assert type(older.fenced) is FencedError
            assert (
                str(older.fenced)
                == dedent(
                    f"""
                another server owns the online store
                  expected: epoch {older.published.epoch}, which is this server's
                  got:      epoch {younger.published.epoch}
                  where:    {services_redis}
                  do:       let one server own each log; this one publishes nothing any more
                """
                ).strip()
            )
            assert [where for where, _ in hooks.faults] == ["online"]
            moment = Moment(second.now(), exact=False)
            found = online(services_redis, of).vector(scoring(), {"who": 3}, moment, {})
            wanted = second.serving.vectors.vector(scoring(), {"who": 3}, moment, {})
            assert (found.x.tobytes(), found.offset) == (wanted.x.tobytes(), wanted.offset)


@pytest.mark.usefixtures("services")
def test_the_older_owner_does_not_come_back_after_a_flush(tmp_path: Path) -> None:
    of = project()
    with server() as redis, owner(tmp_path / "one", redis.address, of) as (first, older, _):
        published(first, older)
        with owner(tmp_path / "two", redis.address, of) as (second, younger, _):
            published(second, younger)
            redis.empty()
            until(lambda: older.fenced is not None)
            until(lambda: younger.published.whole and younger.published.fillings >= 2)
            published(second, younger)
            vectors = online(redis.address, of)
            vectors.look()
            with redis.address.client() as client:
                owner_now = int(client.hget(names.marker(of.name), "epoch"))
            assert owner_now == younger.published.epoch > older.published.epoch


@pytest.mark.usefixtures("services")
def test_a_store_that_throws_away_is_refused(tmp_path: Path) -> None:
    of = project()
    with (
        server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as redis,
        open_service(tmp_path, project=of) as service,
    ):
        publisher = Online(address=redis.address).publisher(service, lambda *_: None)
        with says(
            OnlineError,
            f"""
            the online store throws states away when it is full
              expected: maxmemory-policy noeviction
              got:      allkeys-lru
              where:    {redis.address}
              do:       set maxmemory-policy noeviction, and give it enough memory
            """,
        ):
            publisher.start()


def test_a_wrong_password_is_told_and_not_shown(services_redis: Address) -> None:
    of = project()
    wrong = Address(services_redis.host, services_redis.port, 0, tls=False, password=Secret("hunter2"))
    with says(
        OnlineError,
        f"""
        the online store does not answer as it should
          expected: a Redis or Valkey server that takes this client
          got:      AuthenticationError
          where:    {services_redis}
          do:       look at HEADWATER_ONLINE_PASSWORD
        """,
    ):
        online(wrong, of).look()
    assert "hunter2" not in repr(wrong)


def test_other_definitions_are_not_read(services_redis: Address, tmp_path: Path) -> None:
    of = project()
    with owner(tmp_path, services_redis, of) as (service, publisher, _):
        published(service, publisher)
        other = type(service.serving.project.views[0])(
            "spending", of.views[0].stream, "who", {"n": of.views[0].features["n"]}
        )
        vectors = OnlineVectors([other], _source(services_redis, of.name, [other]))
        with pytest.raises(OnlineError) as caught:
            vectors.look()
        assert caught.value.problems[0].got == "a state of other definitions"
        assert micros(100) < service.now()


def _source(at: Address, name: str, views: Any) -> Any:
    return type(online(at, project())._source)(at, name, views, lambda: 0)


@pytest.mark.usefixtures("services")
def test_tls_is_spoken_and_checked(tmp_path: Path) -> None:
    of, tls = project(), made(tmp_path)
    files = ("--tls-cert-file", str(tls.certificate), "--tls-key-file", str(tls.key))
    with server(*files, "--tls-auth-clients", "no", tls=True) as redis:
        with owner(tmp_path / "owner", redis.address_of(str(tls.certificate)), of) as (service, publisher, _):
            published(service, publisher)
            online(redis.address_of(str(tls.certificate)), of).look()
        with says(
            OnlineError,
            f"""
            the online store does not answer as it should
              expected: a Redis or Valkey server that takes this client
              got:      ConnectionError
              where:    rediss://localhost:{redis.port}/0
              do:       see that Redis runs, and how full it is
            """,
        ):
            online(redis.address_of(None), of).look()  # nobody has told whom to trust
