"""Decision records, wherever they lie: what goes in comes out to the bit, in an order that stands.

One suite for all hosts (``hosts``): what is true of files in a folder is true of a database that servers
share.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from headwater.core.errors import ConflictError, StoreError
from headwater.core.instant import DAY
from headwater.store.decisions import GENESIS, Head, Idempotency, Record, key_text, link
from tests.letters import says
from tests.store.cases import decision
from tests.store.hosts import Embedded, Host


def tampered(host: Host, *statements: str) -> None:
    """Three decisions, then changes behind the guards' back."""
    with host.decisions() as store:
        store.append([decision(score=0.5), decision(score=0.6), decision(score=0.7)])
    for statement in statements:
        host.tamper(statement)


def test_a_decision_comes_back_to_the_bit(host: Host) -> None:
    given = decision(score=0.1 + 0.2, features={"a": 5e-324, "b": -0.0, "c": None, "ä": 1e308})
    with host.decisions() as store:
        store.append([given])
    with host.decisions() as store:
        found = store.get(1).decision
    assert found == given
    assert found.features["b"].hex() == "-0x0.0p+0"  # type: ignore[union-attr]
    assert list(found.reasons) == list(given.reasons)


def test_records_are_numbered_and_chained(host: Host) -> None:
    with host.decisions() as store:
        first, second = store.append([decision(), decision(score=0.5)])
        (third,) = store.append([decision(score=0.6)])
        assert [record.number for record in (first, second, third)] == [1, 2, 3]
        assert first.chain == link(GENESIS, first.decision.canonical())
        assert third.chain == link(second.chain, third.decision.canonical())
        assert [record.chain for record in store] == [first.chain, second.chain, third.chain]
        assert (store.verify(), len(store)) == (3, 3)


def test_an_empty_store_is_whole(host: Host) -> None:
    with host.decisions() as store:
        assert (store.append([]), store.verify(), list(store)) == ([], 0, [])


def test_the_newest_of_a_model_or_an_entity(host: Host) -> None:
    with host.decisions() as store:
        store.append([decision(keys={"who": who}, score=who / 10) for who in (1, 2, 1)])
        assert [record.number for record in store.of("risk")] == [3, 2, 1]
        assert [record.number for record in store.of("risk", key_text(decision()))] == [3, 1]
        assert [record.number for record in store.of("risk", limit=1)] == [3]
        assert store.of("another") == []


def test_the_same_request_again_is_answered_by_its_record(host: Host) -> None:
    with host.decisions() as store:
        first, other = store.append([decision(), decision(keys={"who": 2})], ["a", None])
        (again,) = store.append([decision(score=0.9, decided_at=99)], ["a"])  # decided later, and otherwise
        assert (again, len(store)) == (first, 2)
        named = Idempotency("b", "digest of a request")
        assert store.earlier(named) is None
        (third,) = store.append([decision()], [named])
        assert store.earlier(named) == third
        assert [record.id for record in (first, other, third)] == ["d1", "d2", "d3"]


def test_the_same_name_within_one_append(host: Host) -> None:
    with host.decisions() as store:
        first, again = store.append([decision(), decision()], ["a", "a"])
        assert (first, len(store)) == (again, 1)


TAKEN = """
    an idempotency key came again with another request
      expected: the same request as before, or a key of its own
      got:      another request under the same key
      where:    decision d1
      do:       give each new request a new key
    """


def test_the_same_name_for_another_request_is_a_conflict(host: Host) -> None:
    with host.decisions() as store:
        store.append([decision()], ["a"])
        with says(ConflictError, TAKEN):
            store.append([decision(keys={"who": 5}), decision(keys={"who": 2})], [None, "a"])
        with says(ConflictError, TAKEN):
            store.earlier(Idempotency("a", "another"))
        assert len(store) == 1, "all or none"


def test_in_a_group_one_error_is_not_anothers(host: Host) -> None:
    with host.decisions() as store:
        store.append([decision()], ["a"])
        given = [decision(keys={"who": who}) for who in (1, 2, 3)] + [decision(request={"photo": b"..."})]
        same, conflict, new, odd = store.append_each(given, ["a", "a", None, None])
        assert isinstance(same, Record)
        assert isinstance(new, Record)
        assert (same.id, new.id, len(store)) == ("d1", "d2", 2)
        assert isinstance(conflict, ConflictError)
        assert isinstance(odd, StoreError)
        assert store.verify() == 2


def test_pages_neither_repeat_nor_lose(host: Host) -> None:
    with host.decisions() as store:
        store.append([decision(score=i / 10) for i in range(7)])
        pages = [store.page(limit=3)]
        while pages[-1]:
            store.append([decision()])  # whoever reads slowly sees what came meanwhile, once
            pages.append(store.page(limit=3, after=pages[-1][-1].number))
            if len(pages) > 4:
                break
        numbers = [record.number for page in pages for record in page]
        assert numbers == list(range(1, len(numbers) + 1))
        assert [record.number for record in store.page(newest=True, after=4)] == [3, 2, 1]
        assert [record.number for record in store.scan(after=2, until_number=5)] == [3, 4, 5]


def test_pages_by_what_records_say(host: Host) -> None:
    with host.decisions() as store:
        store.append(
            [
                decision(),
                decision(model="other", band="watch", decided_at=7),
                decision(policy="loans", keys={"who": 2, "shop": "x"}, decided_at=8),
                decision(keys={"who": "1"}, decided_at=9),
            ]
        )

        def numbers(**asked: object) -> list[int]:
            assert store.count(**asked) == len(store.page(**asked))  # type: ignore[arg-type]
            return [record.number for record in store.page(**asked)]  # type: ignore[arg-type]

        assert numbers(model="other") == [2]
        assert numbers(policy="loans") == [3]
        assert numbers(band="watch") == [2]
        assert numbers(since=7, until=9) == [2, 3]
        assert numbers(key={"who": 1}) == [1, 2]
        assert numbers(key={"who": "1"}) == [4]
        assert numbers(key="1") == [1, 2, 4]
        assert numbers(key="x") == numbers(key={"shop": "x", "who": 2}) == [3]
        assert numbers(key="x' OR 1=1 --") == []
        assert numbers(model="risk", key={"who": 1}, band="act", since=6) == [1]


def test_ids(host: Host) -> None:
    with host.decisions() as store:
        (record,) = store.append([decision()])
        assert store.get("d1") == store.get(1) == store.get("1") == record
        assert [store.find(id) for id in ("d2", "d", "x1", "d-1", "d" + "9" * 40, "١", 0)] == [None] * 7


def test_many_threads(host: Host) -> None:
    def work(who: int) -> bool:
        for i in range(20):
            (record,) = store.append([decision(keys={"who": who}, score=i / 20)])
            assert store.get(record.number) == record
            assert len(store.page(key={"who": who})) == i + 1
        store.fold()
        return True

    with host.decisions() as store, ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
        assert (len(store), store.verify()) == (80, 80)


def test_an_end_that_was_cut_off_is_found_by_whoever_noted_the_head(host: Host) -> None:
    tampered(host)
    with host.decisions() as store:
        noted = store.head()
        assert (noted.number, store.verify(noted)) == (3, 3)
        store.append([decision()])
        assert store.verify(noted) == 4
    host.tamper("DELETE FROM {decisions} WHERE number > 2")
    host.tamper("DELETE FROM {keys} WHERE number > 2")
    with host.decisions() as store:
        assert store.verify() == 2
        with says(
            StoreError,
            f"""
            a decision record is missing
              expected: record 3
              got:      no record after 2
              where:    {host.place}
              do:       restore the records from a copy; nobody may remove decisions
            """,
        ):
            store.verify(noted)
        with pytest.raises(StoreError, match="record 2"):
            store.verify(Head(2, bytes(32)))


def test_a_column_that_lies_is_found(host: Host) -> None:
    tampered(host, "UPDATE {decisions} SET band = 'healthy' WHERE number = 2")
    with (
        host.decisions() as store,
        says(
            StoreError,
            f"""
            a decision record would not be found by what it says
              expected: model, policy, band, times, offset and keys as in its text
              got:      others in the table's columns
              where:    {host.place}, record 2
              do:       restore the records from a copy; nobody may change decisions
            """,
        ),
    ):
        store.verify()


def test_a_key_that_leads_nowhere_is_found(host: Host) -> None:
    tampered(host, "INSERT INTO {keys} VALUES ('7', 'who', 9)")
    with (
        host.decisions() as store,
        says(
            StoreError,
            f"""
            the index of the decision records is damaged; the records themselves are whole
              expected: an index that leads to the records
              got:      an entry for record 9
              where:    {host.place}
              do:       restore the records from a copy
            """,
        ),
    ):
        store.verify()


def test_a_changed_record_is_found(host: Host) -> None:
    tampered(host, "UPDATE {decisions} SET record = replace(record, '0.6', '0.1') WHERE number = 2")
    with host.decisions() as store:
        records = list(store)
        right = link(records[0].chain, records[1].decision.canonical())
        with says(
            StoreError,
            f"""
            a decision record is not the one that was written
              expected: link {right.hex()}
              got:      link {records[1].chain.hex()}
              where:    {host.place}, record 2
              do:       restore the records from a copy; nobody may change decisions
            """,
        ):
            store.verify()


def test_a_missing_record_is_found(host: Host) -> None:
    tampered(host, "DELETE FROM {decisions} WHERE number = 2")
    with (
        host.decisions() as store,
        says(
            StoreError,
            f"""
            a decision record is missing
              expected: record 2
              got:      record 3
              where:    {host.place}
              do:       restore the records from a copy; nobody may remove decisions
            """,
        ),
    ):
        store.verify()


def test_a_record_with_a_new_link_breaks_the_next_one(host: Host) -> None:
    first, other = decision(score=0.5), decision(score=0.1)
    chain = link(link(GENESIS, first.canonical()), other.canonical()).hex()
    text = other.canonical().replace("'", "''").replace("{", "{{").replace("}", "}}")
    where = "WHERE number = 2"
    tampered(host, f"UPDATE {{decisions}} SET record = '{text}' {where}", f"{set_link(host, chain)} {where}")  # noqa: S608
    with host.decisions() as store, pytest.raises(StoreError, match="record 3"):
        store.verify()


def set_link(host: Host, chain: str) -> str:
    """How a link is written in SQL."""
    bytes_ = f"x'{chain}'" if isinstance(host, Embedded) else f"decode('{chain}', 'hex')"
    return f"UPDATE {{decisions}} SET chain = {bytes_}"  # noqa: S608


@pytest.mark.parametrize("at", [0, 100, -1])
def test_one_byte_is_found_and_located(host: Host, at: int) -> None:
    """Any byte of a text, changed in place."""
    text = decision(score=0.6).canonical()
    other = "_" if text[at] != "_" else "-"
    changed = text[:at] + other + text[at + 1 :] if at >= 0 else text[:-1] + other
    changed = changed.replace("{", "{{").replace("}", "}}").replace("'", "''")
    tampered(host, f"UPDATE {{decisions}} SET record = '{changed}' WHERE number = 2")  # noqa: S608
    with host.decisions() as store, pytest.raises(StoreError, match=r"record 2\b"):
        store.verify()


def test_a_sender_of_an_earlier_key_gets_its_record_from_whoever_is_asked(host: Host) -> None:
    with host.decisions() as one, host.decisions() as other:
        (first,) = one.append([decision()], ["a"])
        (again,) = other.append([decision(score=0.9)], ["a"])
        (second,) = other.append([decision(score=0.9)], ["b"])
        assert (again, second.number, len(one)) == (first, 2, 2)
        assert one.find("d2") == second


def test_two_who_append_at_once_make_one_chain(host: Host) -> None:
    def work(who: int) -> list[int]:
        with host.decisions() as store:
            got = [store.append([decision(keys={"who": who})] * 3, [f"{who}", None, None]) for _ in range(10)]
        return [record.number for group in got for record in group]

    with ThreadPoolExecutor(3) as pool:
        numbers = [number for found in pool.map(work, range(3)) for number in found]
    with host.decisions() as store:
        assert store.verify() == len(store) == len(set(numbers)) == 3 * (10 * 2 + 1)


def test_sums_by_day_and_side(host: Host) -> None:
    with host.decisions() as store:
        store.append(
            [decision(decided_at=day * DAY + i, band=band) for day, band in _BANDS for i in range(2)]
        )
        assert store.tally("risk", 0, 3 * DAY) == [(0, "act", 2), (1, "act", 2), (1, "watch", 2)]
        assert store.tally("risk", DAY, DAY + 1) == [(1, "act", 1), (1, "watch", 1)]
        assert store.sides("risk", DAY) == [("d1", "act", 2), ("d1", "watch", 2)]
        assert (store.sides("other", 0), store.tally("other", 0, DAY)) == ([], [])


_BANDS = [(0, "act"), (1, "watch"), (1, "act")]


def test_what_an_event_would_have_been_part_of(host: Host) -> None:
    with host.decisions() as store:
        store.append([decision(offset=offset, time=offset * 10) for offset in range(5)])
        store.append([decision(keys={"who": 2}, offset=1, time=10)])

        def numbers(**changes: int | None) -> list[int]:
            asked = {"before": 9, "since": 0, "until": None, "last": 99} | changes
            return [one.number for one in store.between("risk", {"who": 1}, **asked)]  # type: ignore[arg-type]

        assert numbers() == [1, 2, 3, 4, 5]
        assert numbers(before=2) == [1, 2]
        assert numbers(since=20, until=40) == [3, 4]
        assert numbers(last=2) == [1, 2]


def test_a_very_long_key_is_found(host: Host) -> None:
    with host.decisions() as store:
        store.append([decision(keys={"who": "x" * 10_000}), decision(keys={"who": "x" * 9_999})])
        assert [one.number for one in store.page(key={"who": "x" * 9_999})] == [2]
        assert [one.number for one in store.page(key="x" * 10_000)] == [1]
        assert store.verify() == 2


def test_no_such_record(host: Host) -> None:
    with host.decisions() as store:
        with says(
            StoreError,
            f"""
            there is no decision 1
              expected: a number; nothing was decided yet
              got:      1
              where:    {host.place}
              do:       look at the newest ones first
            """,
        ):
            store.get(1)
        store.append([decision()])
        with says(
            StoreError,
            f"""
            there is no decision 2
              expected: a number from 1 to 1
              got:      2
              where:    {host.place}
              do:       look at the newest ones first
            """,
        ):
            store.get(2)


def test_what_json_cannot_hold_is_refused_and_nothing_is_kept(host: Host) -> None:
    with host.decisions() as store:
        with says(
            StoreError,
            """
            a decision cannot be written as JSON
              expected: keys, request columns and features that are numbers, texts, Booleans or null
              got:      Object of type bytes is not JSON serializable
              where:    risk
              do:       take such columns out of the model's request
            """,
        ):
            store.append([decision(), decision(request={"photo": b"..."})])
        assert len(store) == 0
