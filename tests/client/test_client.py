"""The client: typed answers, errors with the server's own words; the same for asyncio."""

from __future__ import annotations

import asyncio
import inspect
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from threading import Thread

import httpx
import numpy as np
import pytest

import headwater as hw
from headwater.client import answers, failures
from headwater.client.failures import ApiError, UnreachableError
from tests.http.house import House, serving
from tests.http.test_events import pay
from tests.letters import says


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with serving(tmp_path_factory.mktemp("bank")) as made:
        yield made


def test_events_and_decisions(house: House) -> None:
    event = {
        "id": np.int64(1_001),
        "who": 1,
        "time": datetime(2026, 4, 11, tzinfo=UTC),
        "amount": 5.0,
        "way": "cash",
    }
    sent = house.client.events("payments", [event], refresh=True)
    assert (sent.accepted, sent.results[0].outcome) == (1, "accepted")
    assert sent.scores is not None
    assert sent.scores[0].keys == {"who": 1}
    made = house.client.decide({"who": 1}, at=datetime(2026, 4, 11, tzinfo=UTC))
    assert made.score == sent.scores[0].score
    assert house.client.replay(made.decision_id).same


def test_the_client_for_asyncio_does_the_same(house: House) -> None:
    async def talk() -> None:
        async with hw.AsyncClient(house.url) as client:
            sent = await asyncio.gather(*(client.events("payments", [pay(2_000 + i, i)]) for i in range(20)))
            assert sum(one.accepted for one in sent) == 20
            made = await client.decide({"who": 3})
            assert await client.decision(made.decision_id) == made
            assert (await client.replay(made.decision_id)).same
            assert (await client.features("spending", 3)).features["n_7d"] > 0
            assert (await client.ready()).status == "ready"
            with pytest.raises(ApiError):
                await client.decision("none")

    asyncio.run(talk())


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, inspect.Signature]:
        return {
            name: inspect.signature(method, eval_str=True)
            for name, method in vars(kind).items()
            if inspect.isfunction(method) and not name.startswith("_")
        }

    one, other = methods(hw.Client), methods(hw.AsyncClient)
    assert {name: found.parameters for name, found in one.items()} == {
        name: found.parameters for name, found in other.items()
    }


def test_everything_else_that_can_be_asked(house: House) -> None:
    assert [model.name for model in house.client.models().models] == ["risk"]
    assert house.client.policies().policies[0].bands == {"healthy": 0.0, "watch": 0.2, "act": 0.5}
    house.client.events("payments", [{"id": 9}])
    assert house.client.dead_letters(stream="payments", reason="null-key").letters[0].stream == "payments"
    assert house.client.redrive(reason="null-key").left == 1
    assert house.client.reload().changed == []


def test_scores_as_they_come(house: House) -> None:
    before = len(house.service.feed)
    last = house.service.offset
    heard: list[answers.Score] = []

    def hear() -> None:  # what the tests before this one sent may still be on its way
        fresh = (one for one in house.client.scores(model="risk") if one.offset > last)
        heard.extend(islice(fresh, 2))

    thread = Thread(target=hear)
    thread.start()
    while len(house.service.feed) == before:
        house.http.get("/healthz")
    with hw.Client(house.url) as other:
        sent = [other.events("payments", [pay(3_000 + i, i)], refresh=True).scores for i in range(2)]
    thread.join(20)
    assert [[one] for one in heard] == sent

    last = house.service.offset

    async def listen() -> list[answers.Score]:
        async with hw.AsyncClient(house.url) as client:
            stream = (one async for one in client.scores() if one.offset > last)
            first = asyncio.ensure_future(anext(stream))
            while len(house.service.feed) == before:
                await client.ready()
            await client.events("payments", [pay(3_010, 4)])
            return [await first]

    assert [one.keys for one in asyncio.run(listen())] == [{"who": 4}]
    with pytest.raises(ApiError):
        list(house.client.scores(model="none"))


def test_an_error_has_the_servers_words(house: House) -> None:
    with says(
        ApiError,
        """
        there is no such policy
          expected: lend
          got:      'borrow'
          do:       name a policy of the project
        """,
    ):
        house.client.decide({"who": 1}, policy="borrow")


def test_an_answer_that_is_no_problem_document() -> None:
    error = failures.of_response(httpx.Response(502, content=b"<html>", headers={"Retry-After": "3"}))
    assert (error.status, error.reason, error.retry_after) == (502, "", 3)
    assert str(error) == "the server answered with an error\n  got:      HTTP 502"


def test_nobody_is_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        hw.Client(f"http://127.0.0.1:{port}") as client,
        says(
            UnreachableError,
            f"""
            no answer came from the server
              got:      ConnectError
              where:    http://127.0.0.1:{port}
              do:       see whether it runs, then send it again: events with ids count once
            """,
        ),
    ):
        client.ready()


def test_the_client_needs_no_engine() -> None:
    code = (
        "import sys; import headwater as hw; hw.Client; hw.AsyncClient;"
        "print({'numba', 'polars', 'mlflow', 'sklearn', 'fastapi'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
