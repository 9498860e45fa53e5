"""Backtests as jobs: started, followed, stopped."""

from __future__ import annotations

from typing import Any

from tests.http.house import House


def followed(house: House, job: dict[str, Any]) -> dict[str, Any]:
    """The job once it is done."""
    while job["state"] in ("waiting", "running"):
        job = house.http.get(f"/v1/backtests/{job['id']}").json()
    return job


def test_a_backtest_counts_what_would_come_out_otherwise(house: House) -> None:
    for who in range(12):
        house.client.decide({"who": who})
    job = followed(house, house.http.post("/v1/backtests", json={"with": {"policy": "lend"}}).json())
    assert (job["state"], job["done"]) == ("done", job["total"])
    assert job["result"]["compared"] == job["result"]["same"] >= 12
    assert (job["result"]["changed"], job["result"]["examples"]) == (0, [])
    one = followed(house, house.http.post("/v1/backtests", json={"key": "3"}).json())
    assert one["result"]["compared"] >= 1


def test_what_cannot_be_backtested(house: House) -> None:
    assert house.http.post("/v1/backtests", json={"with": {"policy": "none"}}).status_code == 404
    assert house.http.post("/v1/backtests", json={"of": "none"}).status_code == 404
    assert house.http.post("/v1/backtests", json={"with": {"model": "3"}}).status_code == 422
    assert house.http.get("/v1/backtests/none").status_code == 404


def test_a_backtest_is_stopped(house: House) -> None:
    job = house.http.post("/v1/backtests", json={}).json()
    assert house.http.delete(f"/v1/backtests/{job['id']}").status_code == 200
    assert followed(house, job)["state"] in ("stopped", "done")
