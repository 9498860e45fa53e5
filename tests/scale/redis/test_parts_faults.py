"""Hosts come, go and are killed, Redis is emptied, a store is cut otherwise; a replica decides meanwhile.

Whatever happens, a reading is right to the bit as of the places that it names, or an error; and no part goes
back.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from time import perf_counter_ns
from typing import Any

from confluent_kafka import Producer

from headwater.core.errors import FencedError, OnlineError
from headwater.core.secret import Secret
from headwater.scale.kafka.host import Host
from headwater.scale.redis.owners import PATIENCE, TRUCE, Owners
from headwater.scale.redis.parts import Part, part_of
from headwater.scale.redis.writing import Writing
from headwater.serving.vectors import Moment
from tests.http.house import Faults
from tests.letters import says
from tests.scale.redis.cases import address, online, owner, published, until
from tests.scale.redis.lender import LATER, SHOPS, Asking, Lender, cut, markers, micros, past
from tests.scale.redis.server import server
from tests.serving import bank

ROOT = Path(__file__).resolve().parents[3]


def test_partitions_move_between_hosts_while_a_replica_decides(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    lender = Lender(services["HEADWATER_KAFKA"], address(services), tmp_path)
    lender.send(cut(past(), 0, 0.3))
    with lender.host("a") as one, Asking(lender) as asking:
        lender.settle(one)
        asking.again()
        refused = len(asking.refused)
        with lender.host("b") as two:
            for share in (3, 4, 5):
                lender.send(cut(past(), share / 10, share / 10 + 0.1))
                one[0].turn(0.05)
                two[0].turn(0.05)
            lender.settle(one, two)
            assert min(len(host.partitions) for host, _, _ in (one, two)) == 1
            shutil.rmtree(tmp_path / "snapshots")  # who gets b's partitions reads them from the beginning
            for share in (6, 7):
                lender.send(cut(past(), share / 10, share / 10 + 0.1))
            lender.settle(one, two)
        lender.send(cut(past(), 0.8, 1))
        lender.settle(one)
        asking.again()
        lender.agree()
    assert asking.odd == []
    assert len(asking.refused) == refused, "once it is whole, it stays whole"
    lender.right(asking.answers)
    assert one[2].faults == two[2].faults == []
    assert one[1].published.fillings == lender.partitions + 1, "what stays with a host is not filled again"


def test_a_host_is_killed_in_mid_batch_and_started_again(services: Mapping[str, str], tmp_path: Path) -> None:
    lender = Lender(services["HEADWATER_KAFKA"], address(services), tmp_path)
    lender.send(cut(past(), 0, 0.5))
    redis = lender.redis
    password = redis.password or Secret("")
    command = [sys.executable, "-m", "tests.scale.redis.hosting", lender.cluster.brokers, str(redis)]
    command += [lender.project.name, str(tmp_path / "snapshots")]
    with (
        Asking(lender) as asking,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env={**os.environ, "HEADWATER_ONLINE_PASSWORD": password.reveal()},
        ) as child,
    ):
        assert child.stdout is not None
        assert child.stdout.readline() == b"effect\n"
        until(lambda: all(b"whole" in marker for marker in markers(lender)), 40)
        asking.again()
        lender.send(cut(past(), 0.5, 0.6))
        assert child.stdout.readline() == b"effect\n"  # a transaction is open, and may be published
        child.kill()
        lender.send(cut(past(), 0.6, 1))
        with lender.host("a") as again:
            lender.settle(again)
            asking.again()
            lender.agree()
    assert asking.odd == []
    lender.right(asking.answers)


def test_redis_is_emptied_and_filled_again(services: Mapping[str, str], tmp_path: Path) -> None:
    with server() as redis:
        lender = Lender(services["HEADWATER_KAFKA"], redis.address, tmp_path)
        lender.send(cut(past(), 0, 0.5))
        with lender.host() as running:
            lender.settle(running)
            with Asking(lender) as asking:
                asking.again()
                redis.empty()
                lender.send(cut(past(), 0.5, 0.8))
                _, owners, faults = running
                until(lambda: owners.published.fillings == 2 * lender.partitions)
                lender.settle(running)
                asking.again()
                redis.stop()
                before = len(asking.refused)
                until(lambda: len(asking.refused) > before)
                lender.send(cut(past(), 0.8, 1))
                running[0].turn(0.5)
                redis.start()
                until(lambda: owners.published.fillings == 3 * lender.partitions)
                lender.settle(running)
                asking.again()
                lender.agree()
        assert asking.odd == []
        lender.right(asking.answers)
        reasons = {error.problems[0].got for error in asking.refused}
        assert reasons <= {
            "no state, or one that is being filled",
            "a part that is gone",
            "ConnectionError",
            "TimeoutError",
            "LOADING",
        }
        assert {where for where, _ in faults.faults} == {"online"}
        assert "the online store has lost what was published" in {
            error.problems[0].what for _, error in faults.faults if isinstance(error, OnlineError)
        }


def test_the_older_of_two_groups_ends(services: Mapping[str, str], tmp_path: Path) -> None:
    """Its part is taken, it claims once more, the younger does, too, and the older is fenced for good."""
    lender = Lender(services["HEADWATER_KAFKA"], address(services), tmp_path, partitions=1)
    lender.send(cut(past(), 0, 0.5))
    with lender.host() as older:
        lender.settle(older)
        with lender.host(group=f"{lender.project.name}-other") as younger, Asking(lender) as asking:
            lender.settle(younger)
            lender.send(cut(past(), 0.5, 0.6))
            lender.settle(younger)
            _taken(older, 1)
            _wait_in_vain(older[1])
            lender.settle(older)
            _taken(younger, 1)
            _wait_in_vain(younger[1])
            older_epoch = older[1].published.epoch
            lender.send(cut(past(), 0.6, 0.7))
            lender.settle(younger)
            _taken(older, 2)
            letter = f"""
                another server owns part 0 of the online store
                  expected: epoch {older_epoch}, which is this server's
                  got:      epoch {younger[1].published.epoch}
                  where:    {lender.redis}
                  do:       let one consumer group publish each project
                """
            with says(FencedError, letter):
                _wait_in_vain(older[1])
            assert not older[1].published.whole
            asking.again()
            lender.agree()
    assert asking.odd == []
    lender.right(asking.answers)


def test_a_claim_that_comes_late_costs_the_owner_some_seconds_and_not_its_life(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    """It was on its way while the partition went to the host that has it now."""
    lender = Lender(services["HEADWATER_KAFKA"], address(services), tmp_path, partitions=1)
    lender.send(cut(past(), 0, 0.5))
    with lender.redis.client() as client, lender.host() as running, Asking(lender) as asking:
        lender.settle(running)
        for share, fillings in ((0.5, 2), (0.6, 3)):
            hung = Writing(lender.redis, client, micros, perf_counter_ns, Part(0, 1))
            hung.claim(lender.project.name)
            lender.send(cut(past(), share, share + 0.1))
            _taken(running, fillings - 1)
            asking.again()
            _wait_in_vain(running[1])
            lender.settle(running)
            asking.again()
            lender.agree()
            assert running[1].published.fillings == fillings
            _pass(running[1], TRUCE)  # what was long ago is not held against it
    assert asking.odd == []
    lender.right(asking.answers)


def _taken(host: tuple[Host, Owners, Faults], times: int) -> None:
    """Wait until a host has noticed so often that a part was claimed by another."""
    host[0].turn(0.1)
    until(lambda: sum(isinstance(error, FencedError) for _, error in host[2].faults) == times)


def _wait_in_vain(owners: Owners) -> None:
    """The group does not say that the partition is another's."""
    owners.check()  # it may yet
    _pass(owners, PATIENCE)
    owners.check()


def _pass(owners: Owners, seconds: float) -> None:
    before = owners._watch
    owners._watch = lambda: before() + int(seconds * 1e9)


def test_a_store_of_another_kind_is_refused_in_words(services: Mapping[str, str], tmp_path: Path) -> None:
    at = address(services)
    lender = Lender(services["HEADWATER_KAFKA"], at, tmp_path)
    lender.send(cut(past(), 0, 0.2))
    do = (
        "do:       let one of them publish; to change over, end the other and delete its keys, hw:{PROJECT}:*"
    )
    with lender.host() as running:
        lender.settle(running)
    with says(
        OnlineError,
        f"""
        the project's online store is another kind of owner's
          expected: 4 parts, of the partitions of Kafka's topics
          got:      3 parts, of the partitions of Kafka's topics
          where:    {at}
          {do}
        """,
    ):
        _owners(lender).start(4)
    with (
        says(
            OnlineError,
            f"""
            the project's online store is another kind of owner's
              expected: one, of an embedded log
              got:      3 parts, of the partitions of Kafka's topics
              where:    {at}
              {do}
            """,
        ),
        owner(tmp_path / "embedded", at, lender.project),
    ):
        pass
    other = Lender(services["HEADWATER_KAFKA"], at, tmp_path / "other")
    with (
        owner(tmp_path / "own", at, other.project) as (service, publisher, _),
        says(
            OnlineError,
            f"""
            the project's online store is another kind of owner's
              expected: 3 parts, of the partitions of Kafka's topics
              got:      one, of an embedded log
              where:    {at}
              {do}
            """,
        ),
    ):
        published(service, publisher)
        _owners(other).start(3)


def test_who_is_refused_while_it_runs_says_so_and_goes_on(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    """The store was deleted, and another kind of owner came first."""
    with server() as redis:
        lender = Lender(services["HEADWATER_KAFKA"], redis.address, tmp_path, partitions=1)
        lender.send(cut(past(), 0, 0.2))
        with lender.host() as (host, owners, faults):
            lender.settle((host, owners, faults))
            with redis.address.client() as client:
                client.flushall()
                client.set(f"hw:{{{lender.project.name}}}:parts", "7 murmur2")
                until(lambda: len(faults.faults) >= 2)
                assert [
                    error.problems[0].got for _, error in faults.faults if isinstance(error, OnlineError)
                ][:2] == ["not all of it", "7 parts, of the partitions of Kafka's topics"]
                client.flushall()
            lender.settle((host, owners, faults))
            lender.agree()


def test_an_entity_in_two_partitions_is_refused_and_the_others_are_not(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    lender = Lender(services["HEADWATER_KAFKA"], address(services), tmp_path)
    lender.send(cut(past(), 0, 0.3))
    producer = Producer({"bootstrap.servers": lender.cluster.brokers})
    value = b'{"id": 90001, "who": 7, "time": "2026-04-20T00:00:00Z", "amount": 1.0, "way": "cash"}'
    (own,) = {int(place[-1]) for place in _places(lender, 7)}
    producer.produce(lender.topics.of("payments"), value, b"7", (own + 1) % 3)
    assert producer.flush(10) == 0
    lender._sent += 1
    with lender.host() as running:
        lender.settle(running)
        assert running[1].published.strays == 1
        vectors = online(lender.redis, lender.project)
        with says(
            OnlineError,
            f"""
            the online store cannot say what an entity's features are
              expected: all its events in the partition that its key leads to
              got:      events of it in another partition
              where:    {lender.redis}
              do:       have all who produce key by the entity, and use Kafka's own partitioner, murmur2
            """,
        ):
            vectors.vector(bank.scoring(), {"who": 7}, Moment(LATER), {})
        lender.agree([who for who in range(25) if who != 7])
        keys = {"who": 3, "shop": next(shop for shop in SHOPS if part_of(shop, 3) != part_of(3, 3))}
        with says(
            OnlineError,
            """
            an entity's keys lie in several parts of the online store
              expected: a model whose views have one key, as Kafka's hosts ask for
              got:      who, shop
              where:    online store
              do:       decide by this model where the log is embedded
            """,
        ):
            vectors.vector(bank.scoring(), keys, Moment(LATER), {})
        own = part_of(3, 3)
        with lender.redis.client() as client:
            client.hdel(f"hw:{{{lender.project.name}}}:owner:{own}", "whole")
        with says(
            OnlineError,
            f"""
            the online store does not hold what decisions need
              expected: the whole state of the project's definitions
              got:      no state, or one that is being filled
              where:    {lender.redis}
              do:       see that the Kafka hosts run with this project; whoever owns partition {own} fills it
            """,
        ):
            online(lender.redis, lender.project).vector(bank.scoring(), {"who": 3}, Moment(LATER), {})


def test_a_host_that_is_behind_the_store_says_so_and_lets_it_be(
    services: Mapping[str, str], tmp_path: Path
) -> None:
    lender = Lender(services["HEADWATER_KAFKA"], address(services), tmp_path, partitions=1)
    lender.send(cut(past(), 0, 0.3))
    with lender.host() as running:
        lender.settle(running)
    before = markers(lender)
    told, clock = list[Any](), [0]
    owners = _owners(lender, told, lambda: clock[0])
    state = _Nothing(lender)
    with owners.start(1):
        owners.own(0, state)
        until(lambda: markers(lender)[0][b"epoch"] != before[0][b"epoch"])
        clock[0] = 11_000_000_000
        owners._news[True].set()
        until(lambda: bool(told))
    ends = ", ".join(f"{name} {len(frame):,}" for name, frame in sorted(cut(past(), 0, 0.3).items()))
    do = "nothing: it is published once the host has read that far; if the topics were made anew, "
    letter = f"""
        part 0 of the online store is ahead of this host
          expected: payments 0, profiles 0, visits 0
          got:      {ends}
          where:    {lender.redis}
          do:       {do}delete the project's keys, hw:{{PROJECT}}:*
        """
    assert [str(error) for _, error in told] == [dedent(letter).strip()]
    assert markers(lender)[0][b"whole"] == before[0][b"whole"]
    lender.agree()


class _Nothing:
    """A partition that has taken in nothing."""

    def __init__(self, lender: Lender) -> None:
        self.vectors = type(lender.twin)(type(lender.twin.engine)(lender.project.views))
        self.positions = dict.fromkeys(("payments", "profiles", "visits"), 0)
        self.on_taken = lambda _events: None


def _owners(lender: Lender, told: list[Any] | None = None, watch: Any = lambda: 0) -> Owners:
    kept = [] if told is None else told
    of = lender.project.name, lender.project.views
    return Owners(lender.redis, *of, lambda: 0, watch, lambda *one: kept.append(one))


def _places(lender: Lender, who: int) -> list[str]:
    return [
        f"{stream}/{number}"
        for (number, stream), records in lender.records().items()
        if stream == "payments" and any(f'"who":{who},'.encode() in one.value for one in records)
    ]
