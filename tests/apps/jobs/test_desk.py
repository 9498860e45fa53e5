"""Jobs on a small lender: done once, refused in writing, cut short and gone on with, and tried again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.apps.jobs.desk import RESTS, Desk
from headwater.apps.jobs.kinds import Task
from headwater.apps.jobs.settings import JobSettings
from headwater.apps.jobs.telling import plain
from headwater.apps.settings import Settings
from headwater.core.errors import DataError
from headwater.core.instant import DAY, MINUTE
from headwater.definitions.loading import load_project
from headwater.models.registry import Registry, Version
from headwater.store.audit import AuditTrail
from headwater.store.folder import DataFolder
from headwater.store.holding import holding
from headwater.store.jobs import Job, JobStore
from headwater.testing import ManualClock
from headwater.training.train import open_registry
from tests.retraining.lender import day, write_place


@pytest.fixture(scope="session")
def lender_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lender with a hundred days of payments and an empty registry. Do not change it."""
    folder = tmp_path_factory.mktemp("lender")
    write_place(folder, days=100)
    assert run(cli, ["import", str(folder / "payments.csv"), "--project", str(folder)]) == 0
    with opened(folder, 0) as (desk, _):
        assert versions(desk) == []
    return folder


@pytest.fixture
def lender(lender_place: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lender_place, tmp_path / "lender"))


@contextmanager
def opened(folder: Path, on: float, **changes: Any) -> Iterator[tuple[Desk, ManualClock]]:
    settings = Settings.read({}, project=str(folder))
    clock = ManualClock(day(on))
    with JobStore.open(DataFolder(settings.data).jobs) as jobs:
        facts: dict[str, Any] = {"how": JobSettings(), "environ": {}, **changes}
        yield Desk(load_project(folder), settings, jobs=jobs, clock=clock.now, **facts), clock


def registry(desk: Desk) -> Registry:
    return open_registry(desk.settings.data, desk.project, desk.settings.tracking_uri)


def versions(desk: Desk) -> list[Version]:
    return registry(desk).versions("risk")


def done(desk: Desk, name: str, on: float) -> Job:
    with desk.turn() as mine:
        assert mine
        return desk.run(desk.jobs.plan(name, day(on), "A test.", now=desk.clock(), asked_by="cli:ada"))


def test_a_model_is_trained_gated_and_promoted_once(lender: Path) -> None:
    with opened(lender, 80, how=JobSettings(promote=True)) as (desk, clock):
        desk.plan()
        assert desk.next() is None  # nothing is due on the first day
        clock.advance(int(7.5 * DAY))
        with desk.turn():
            desk.plan()
            job = next(one for one in desk.jobs.open_ones() if one.name == "retrain.risk")
            made = desk.run(job)
            desk.plan()
        assert made.due == day(87)
        assert (made.state, made.outcome["version"], made.outcome["promoted"]) == ("done", 1, 1)
        assert made.outcome["as_of"] == "2026-03-29T00:00:00Z"
        assert versions(desk)[0].aliases == ("champion",)
        assert desk.run(made) == made
        with AuditTrail.open(desk.folder.access) as trail:
            assert [entry.act.actor for entry in trail.page(limit=9)] == [f"job:{made.id}"] * 2
        assert "retrain.risk" not in {one.name for one in desk.jobs.open_ones()}


def test_without_the_setting_nothing_is_promoted(lender: Path) -> None:
    with opened(lender, 90) as (desk, _):
        made = done(desk, "retrain.risk", 90)
        assert (made.outcome["verdict"], "promoted" in made.outcome) == ("promote", False)
        assert versions(desk)[0].aliases == ("challenger",)
        assert done(desk, "retrain.risk", 90) == made
        assert len(versions(desk)) == 1


def test_what_the_data_does_not_allow_is_a_written_refusal(lender: Path) -> None:
    with opened(lender, 95) as (desk, clock):
        early = done(desk, "retrain.risk", 2)
        assert (early.state, early.again) == ("refused", None)
        assert early.letter[0].what == "no observation has a label that is known yet"
        watched = done(desk, "drift.risk", 90)
        assert watched.letter[0].what == "the model has no champion yet, so there is nothing to watch"
        assert versions(desk) == []
        clock.advance(DAY)
        assert [one.name for one in desk.jobs.open_ones()] == []


def test_one_class_and_a_vanished_input_are_refusals(lender_place: Path, tmp_path: Path) -> None:
    text = (lender_place / "payments.csv").read_text(encoding="utf-8")
    for name, told in (("bad", "hold one class only"), ("amount", "has vanished")):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(lender_place / "project.py", folder)
        column = text.partition("\n")[0].split(",").index(name)
        lines = [line.split(",") for line in text.splitlines()]
        for line in lines[1:]:
            if name == "bad":
                line[column] = "false"
            elif line[2] >= "2026-02-20":
                line[column] = ""
        (folder / "payments.csv").write_text("\n".join(map(",".join, lines)) + "\n", encoding="utf-8")
        assert run(cli, ["import", str(folder / "payments.csv"), "--project", str(folder)]) == 0
        with opened(folder, 100) as (desk, _):
            refused = done(desk, "retrain.risk", 100)
            assert refused.state == "refused"
            assert any(told in problem.what for problem in refused.letter)
            assert versions(desk) == []


def test_a_registry_that_is_away_is_tried_again(lender: Path) -> None:
    with opened(lender, 90) as (desk, clock):
        file = desk.settings.data / "mlflow.db"
        whole = file.read_bytes()
        file.write_text("no database", encoding="utf-8")
        failed = done(desk, "retrain.risk", 90)
        assert (failed.state, failed.again) == ("failed", day(90) + RESTS[0])
        assert failed.letter[0].what.startswith("the registry cannot be")
        assert desk.next() is None
        file.write_bytes(whole)
        clock.advance(5 * MINUTE)
        with desk.turn():
            job = desk.next()
            assert job is not None
            again = desk.run(job)
        assert (again.number, again.state, again.attempt) == (failed.number, "done", 2)
        assert again.letter == ()


RANDOM = """
import os, random, signal, sys, threading, time
from pathlib import Path
from random import Random
from tests.apps.jobs.test_desk import done, opened
import headwater.retraining.run
with opened(Path(sys.argv[1]), 90) as (desk, _):
    def kill():
        time.sleep(float(sys.argv[2]))
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=kill, daemon=True).start()
    with desk.turn():
        desk.run(desk.next())
"""


def test_killed_again_and_again_at_any_moment_it_comes_to_one_version(lender: Path) -> None:
    random = Random(7)
    with opened(lender, 80, how=JobSettings(promote=True)) as (desk, _):
        assert done(desk, "retrain.risk", 80).outcome["promoted"] == 1
        job = desk.jobs.plan("retrain.risk", day(90), "A test.", now=day(90))
    for _ in range(3):
        moment = f"{random.uniform(0.05, 2.0):.3f}"
        ended = subprocess.run([sys.executable, "-c", RANDOM, str(lender), moment], check=False)
        assert ended.returncode == -signal.SIGKILL, moment
        with opened(lender, 91) as (desk, _):
            assert registry(desk).version("risk").number == 1
            assert len(versions(desk)) <= 2
    with opened(lender, 91) as (desk, _), desk.turn():
        left = desk.next()
        assert left is not None
        assert (left.number, left.attempt) == (job.number, 3)
        assert desk.run(left).state == "done"
        assert [one.number for one in versions(desk)] == [2, 1]
        assert registry(desk).version("risk").number == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from random import Random
from headwater.models.registry import Registry
from tests.apps.jobs.test_desk import done, opened
stage = sys.argv[2]
real = getattr(Registry, stage)
def kill(self, *args, **kw):
    if sys.argv[3] == "after":
        real(self, *args, **kw)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(Registry, stage, kill)
with opened(Path(sys.argv[1]), 90) as (desk, _):
    done(desk, "retrain.risk", 90)
"""


@pytest.mark.parametrize(("stage", "when"), [("track", "before"), ("note", "before")])
def test_a_retraining_that_is_killed_goes_on(lender: Path, stage: str, when: str) -> None:
    with opened(lender, 80) as (desk, _):
        assert done(desk, "retrain.risk", 80).state == "done"
        registry(desk).promote("risk", 1)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(lender), stage, when], env={**os.environ}, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    with opened(lender, 91) as (desk, _):
        (left,) = desk.jobs.running()
        assert plain(desk, left)["state"] == "interrupted"
        with holding(desk.folder.jobs_lock):
            assert plain(desk, left)["state"] == "running"
        assert registry(desk).version("risk").number == 1
        with desk.turn() as mine:
            assert mine
            job = desk.next()
            assert job is not None
            resumed = desk.run(job)
        assert (resumed.state, resumed.attempt, resumed.due) == ("done", 2, day(90))
        assert [one.number for one in versions(desk)] == [2, 1]
        assert registry(desk).version("risk").number == 1


def test_a_job_that_dies_each_time_is_given_up(lender: Path) -> None:
    with opened(lender, 90) as (desk, _):
        job = desk.jobs.plan("alerts", day(90), "A test.", now=day(90))
        for _ in range(len(RESTS) + 1):
            assert desk.jobs.take(desk.jobs.find(job.number) or job, now=day(90)) is not None
            with desk.turn():
                pass
        ended = desk.jobs.find(job.number)
        assert ended is not None
        assert (ended.state, ended.again) == ("failed", None)
        assert str(ended.letter[0]) == (
            "the process of this job died each time\n  expected: at most 3 deaths\n  got:      4 attempts\n"
            "  where:    alerts\n  do:       look whether the machine has enough memory for it, then: "
            "headwater jobs run alerts"
        )


def test_whoever_has_the_turn_has_it_alone(lender: Path) -> None:
    with opened(lender, 90) as (desk, _), desk.turn() as mine, desk.turn() as another:
        assert (mine, another) == (True, False)


def test_an_end_on_purpose_does_not_count_and_a_bug_tells_no_value(lender: Path) -> None:
    def ended(_task: Task) -> Mapping[str, Any]:
        raise TimeoutError

    def broken(_task: Task) -> Mapping[str, Any]:
        raise KeyError("Ada Lovelace")

    with opened(lender, 90) as (desk, _):
        stopped = replace(desk, stops=(TimeoutError,), find=lambda _: ended)
        with pytest.raises(TimeoutError):
            done(stopped, "alerts", 90)
        job = desk.jobs.newest("alerts")
        assert job is not None
        assert (job.state, job.attempt) == ("waiting", 0)
        failed = replace(desk, find=lambda _: broken).run(job)
        assert (failed.state, failed.letter[0].what) == (
            "failed",
            "the job failed in a way that nobody foresaw",
        )
        assert "Ada" not in str(failed)


def test_settings_that_cannot_be_read() -> None:
    for environ, told in (
        ({"HEADWATER_JOBS": "maybe"}, "the setting HEADWATER_JOBS cannot be read\n  expected: on or off\n"),
        (
            {"HEADWATER_JOBS_EVERY": "drift"},
            "the setting HEADWATER_JOBS_EVERY cannot be read\n  expected: pairs such as drift=6h,",
        ),
    ):
        with pytest.raises(DataError) as raised:
            JobSettings.read(environ)
        assert str(raised.value).startswith(told)


def test_a_setting_for_a_job_that_there_is_not(lender: Path) -> None:
    how = JobSettings(every={"drift.other": DAY})
    with opened(lender, 90, how=how) as (desk, _), pytest.raises(DataError) as raised:
        desk.plan()
    assert str(raised.value) == (
        "the setting HEADWATER_JOBS_EVERY names a job that there is not\n"
        "  expected: some of retrain, drift, outcomes, fairness, alerts, reports, lake, retrain.risk, "
        "drift.risk, outcomes.risk\n"
        "  got:      drift.other\n  do:       correct the environment variable, or unset it"
    )
