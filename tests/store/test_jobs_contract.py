"""Jobs, wherever they lie: planned twice they are planned once, taken by two they are one's."""

from __future__ import annotations

import pytest

from headwater.core.errors import Problem, StoreError
from headwater.store.jobs import Job
from headwater.store.protocol import Jobs
from tests.store.hosts import Host


def taken(jobs: Jobs, job: Job, now: int) -> Job:
    found = jobs.take(job, now=now)
    assert found is not None
    return found


def test_the_life_of_a_job(host: Host) -> None:
    with host.jobs() as jobs:
        job = jobs.plan("drift.risk", 7, "It is time.", now=8)
        assert (job.number, job.id, job.kind, job.state, job.attempt) == (1, "j1", "drift", "waiting", 0)
        assert jobs.plan("drift.risk", 7, "Otherwise.", now=9, asked_by="cli:ada") == job
        running = taken(jobs, job, 10)
        assert (running.state, running.attempt, running.started) == ("running", 1, 10)
        assert jobs.running() == jobs.open_ones() == [running]
        noted = jobs.note(1, {"as_of": 5, "rows": {"a": 1, "b": 2}, "gone": 1})
        assert noted.outcome == {"as_of": 5, "rows": {"a": 1, "b": 2}, "gone": 1}
        done = jobs.end(1, "done", now=12, outcome={"rows": {"b": 3}, "gone": None})
        assert (done.state, done.ended, done.again) == ("done", 12, None)
        assert done.outcome == {"as_of": 5, "rows": {"a": 1, "b": 3}}
        assert jobs.find(1) == jobs.newest("drift.risk") == jobs.newest_done("drift.risk") == done
        assert (jobs.find(2), jobs.newest("other"), jobs.open_ones(), jobs.running()) == (None, None, [], [])
    with host.jobs() as again:
        assert again.find(1) == done


def test_what_failed_is_tried_again(host: Host) -> None:
    letter = Problem("it failed", expected="a", got="b", where="c", do="d")
    with host.jobs() as jobs:
        job = taken(jobs, jobs.plan("alerts", 1, "w", now=1), 2)
        failed = jobs.end(job.number, "failed", now=3, letter=[letter], again=9)
        assert (failed.state, failed.letter, failed.again) == ("failed", (letter,), 9)
        assert jobs.open_ones() == [failed]
        second = taken(jobs, failed, 9)
        assert (second.attempt, second.again, second.ended) == (2, None, None)
        assert jobs.put_back(job.number, counts=False).attempt == 1
        third = taken(jobs, jobs.open_ones()[0], 10)
        assert (third.attempt, jobs.put_back(job.number, counts=True).attempt) == (2, 2)
        assert jobs.open_ones()[0].state == "waiting"


def test_pages_and_order(host: Host) -> None:
    with host.jobs() as jobs:
        for due in (5, 3, 4):
            jobs.plan("a", due, "w", now=1)
        jobs.plan("b", 1, "w", now=1)
        assert [job.number for job in jobs.page()] == [4, 3, 2, 1]
        assert [job.number for job in jobs.page(name="a", before=3)] == [2, 1]
        assert [job.number for job in jobs.page(limit=1)] == [4]
        assert [(job.name, job.due) for job in jobs.open_ones()] == [("b", 1), ("a", 3), ("a", 4), ("a", 5)]


def test_when_a_job_was_first_known(host: Host) -> None:
    with host.jobs() as jobs:
        assert jobs.known_since(["a", "b"], now=5) == {"a": 5, "b": 5}
        assert jobs.known_since(["b", "c"], now=6) == {"b": 5, "c": 6}
        assert jobs.known_since([], now=7) == {}


def test_an_outcome_that_json_cannot_hold(host: Host) -> None:
    with host.jobs() as jobs:
        job = taken(jobs, jobs.plan("a", 1, "w", now=1), 2)
        with pytest.raises(StoreError, match="the outcome of a job cannot be written as JSON"):
            jobs.end(job.number, "done", now=3, outcome={"x": float("nan")})
        assert [one.state for one in jobs.running()] == ["running"]
