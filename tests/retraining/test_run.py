"""One retraining: a challenger, once, from what was known at its moment and from nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

import headwater as hw
from headwater.core.errors import TrainingError
from headwater.core.instant import DAY
from headwater.definitions.compile import content_hash
from headwater.models.registry import Registry
from headwater.retraining.run import KEY, WHY, Recipe, retrain
from headwater.retraining.triggers import Why, asked
from headwater.retraining.window import Bounds, judged_split, matured, newest_split
from tests.letters import says
from tests.retraining.house import QUICK, House
from tests.retraining.lender import day, model, payments, project


def runs(house: House) -> list[tuple[str, str]]:
    """Name and status of the runs, the oldest first."""
    client = MlflowClient(house.registry.uri)
    experiments = client.search_experiments()
    ids = [one.experiment_id for one in experiments if one.name == house.registry._project]
    found = client.search_runs(ids, order_by=["attributes.start_time ASC"])
    return [(run.info.run_name, run.info.status) for run in found]


def test_a_retraining_registers_a_challenger_and_leaves_the_champion(house: House) -> None:
    first = house.retrain(80, why=Why("schedule", "It was time."))
    assert (first.version.number, first.version.aliases, first.found) == (1, ("challenger",), False)
    assert house.champion() is None
    assert first.version.definition_hash == content_hash(house.project.models[0])
    assert first.version.tags[WHY] == "It was time."
    assert runs(house) == [("risk as of 2026-03-22T00:00:00Z", "FINISHED")]
    told = house.registry.kept(first.version, "why.json").read_text(encoding="utf-8")
    assert '"kind": "schedule"' in told
    second = house.retrain(87)
    assert [v.aliases for v in house.registry.versions("risk")] == [("challenger",), ()]
    assert second.version.number == 2


def test_running_twice_is_running_once(house: House) -> None:
    first = house.retrain(80, why=asked("ada"))
    again = house.retrain(80, why=asked("bert"), now=day(99))
    assert again.found
    assert (again.version, again.why) == (first.version, "Asked for by ada.")
    assert len(runs(house)) == 1


def test_nothing_that_came_later_changes_a_bit(house: House) -> None:
    """Rows after the moment, however telling, and labels that were not mature yet, however wrong."""
    as_of = 80
    now = house.retrain(as_of)
    known = house.events.filter(pl.col("time").cast(pl.Int64) <= day(as_of))
    immature = pl.col("time").cast(pl.Int64) > day(as_of - 7)
    planted = pl.concat(
        [
            known.with_columns(bad=pl.when(immature).then(~pl.col("bad")).otherwise("bad")),
            payments(60, start=81, turn=0, seed=9),
        ]
    )
    other = House(house.folder, Registry(house.folder / "other", "other"), house.trail, planted)
    assert other.retrain(as_of).version.digest == now.version.digest


def test_the_window_rolls_and_its_parts_do_not_overlap() -> None:
    rows = matured(model(), {"payments": payments()}, day(150), Bounds.of(model()))
    split = judged_split(rows, Bounds.of(model()))
    newest = newest_split(rows, Bounds.of(model()))
    learned, judged, final = (rows.times[part] for part in (split.train, split.test, newest.train))
    assert learned.max() + 7 * DAY <= judged.min()
    assert judged.max() <= day(150) - 7 * DAY
    assert final.max() == judged.max()
    assert final.max() - final.min() <= 60 * DAY
    assert learned.max() - learned.min() <= 60 * DAY


def test_a_test_too_thin_is_made_longer() -> None:
    sparse = payments(200, a_day=10)
    rows = matured(model(), {"payments": sparse}, day(150), Bounds.of(model()))
    split = judged_split(rows, Bounds.of(model()))
    assert len(split.test) >= 200
    whole, part = divmod(int(rows.times.max()) + 1 - split.test_from, 7 * DAY)
    assert part == 0
    shorter = rows.y[rows.times >= split.test_from + 7 * DAY]  # a week less is too thin
    assert min(shorter.sum(), (1 - shorter).sum()) < 100 or len(shorter) < 200, whole


@pytest.mark.parametrize(("a_week", "weeks"), [(400, 1), (50, 2), (20, 4), (5, 6), (2, None)])
def test_the_test_lasts_until_a_hundred_outcomes_but_no_month_unless_it_must(
    a_week: int, weeks: int | None
) -> None:
    # positives a week     400: one week has a hundred; 50: two weeks; 20: a month has eighty, which must do;
    # 5: thirty take six weeks; 2: half of the rows have no thirty, so the newest quarter is the test
    step = 7 * DAY // 1_000
    times = np.arange(26 * 1_000) * step
    y = np.zeros(len(times))
    y[:: 1_000 // a_week] = 1.0
    rows = matured(model(), {"payments": payments(150)}, day(150), Bounds.of(model()))
    given = replace(rows, times=times, y=y)
    split = judged_split(given, Bounds(every=7 * DAY))
    lasts = int(given.times.max()) + 1 - split.test_from
    assert lasts == pytest.approx((weeks or 6.5) * 7 * DAY, abs=2 * step)


@pytest.mark.parametrize("stage", ["judge", "fit", "register"])
def test_interrupted_at_a_stage_it_is_done_again(house: House, stage: str) -> None:
    def stop(name: str, _done: int, _total: int) -> None:
        if name == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        house.retrain(80, progress=stop)
    done = house.retrain(80)
    assert (done.version.number, done.version.aliases) == (1, ("challenger",))
    assert [status for _, status in runs(house)].count("FINISHED") == 1


class _Dying(Registry):
    """A registry whose process dies when the version is there and nothing has been told of it."""

    def keep(self, *_: object, **__: object) -> None:
        raise KeyboardInterrupt


def test_interrupted_after_the_version_is_made_it_is_found(house: House, store: Path) -> None:
    whole = house.registry
    house.registry = _Dying(store, whole._project)
    with pytest.raises(KeyboardInterrupt):
        house.retrain(80)
    whole.point("risk", "challenger", None)  # the alias is the last step of registering
    house.registry = whole
    done = house.retrain(80)
    assert done.found
    assert done.version.aliases == ("challenger",)
    assert len(house.registry.versions("risk")) == 1


_KILLED = """
import os, signal, sys
from pathlib import Path
from headwater.models.registry import Registry
from headwater.retraining.run import Recipe, retrain
from headwater.retraining.triggers import asked
from headwater.models.artifact import Artifact
from tests.retraining.lender import day, payments, project

class Dying(Registry):
    def _register(self, *given):
        super()._register(*given)
        os.kill(os.getpid(), signal.SIGKILL)

home = Path(sys.argv[1])
retrain(project(), "risk", {"payments": payments()}, Dying(home / "store", "killed"), folder=home,
        as_of=day(80), why=asked(), now=day(80), recipe=Recipe(bootstrap=20))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_killed_while_registering_it_goes_on(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _KILLED, str(tmp_path)], check=False, timeout=170
    )
    assert ended.returncode == -signal.SIGKILL
    registry = Registry(tmp_path / "store", "killed")
    done = retrain(
        project(),
        "risk",
        {"payments": payments()},
        registry,
        folder=tmp_path,
        as_of=day(80),
        why=asked(),
        now=day(80),
        recipe=QUICK,
    )
    assert done.found
    assert done.version.aliases == ("challenger",)
    assert len(registry.versions("risk")) == 1


def test_one_class_only_is_refused_in_writing(house: House) -> None:
    house.events = house.events.with_columns(bad=pl.lit(value=False))
    with pytest.raises(TrainingError) as error:
        house.retrain(80)
    assert str(error.value).startswith("the rows to learn from hold one class only\n")
    assert str(error.value).count("hold one class only") == 2
    assert house.registry.versions("risk") == []
    assert runs(house) == [("risk: refused", "FAILED")]


def test_no_mature_label_is_refused(house: House) -> None:
    with says(
        TrainingError,
        """
        no observation has a label that is known yet
          expected: observations up to 2025-12-30T23:43:16.403428Z, 7d before the newest event
          got:      231 observations, the first at 2026-01-01T00:31:06.357520Z
          where:    risk
          do:       import more history, observe more often, or look at the bounds
        """,
    ):
        house.retrain(6)
    assert house.registry.versions("risk") == []


def test_an_input_that_vanished_is_refused(house: House) -> None:
    risk = model(estimator=LogisticRegression(), request=["amount"], features=[_nullable()])
    house.project = hw.Project("lender", [risk], [])
    late = pl.col("time").cast(pl.Int64) >= day(40)
    house.events = house.events.with_columns(amount=pl.when(late).then(None).otherwise("amount"))
    with pytest.raises(TrainingError) as error:
        house.retrain(80)
    assert str(error.value).startswith("the input 'amount' has vanished\n")
    assert house.registry.versions("risk") == []


def _nullable() -> hw.FeatureView:
    return hw.FeatureView(
        "behaviour", model().features[0].stream, key="who", features={"n": hw.count(over="30d")}
    )


def test_without_refit_the_judged_model_itself_is_registered(house: House) -> None:
    done = house.retrain(80, Recipe(bootstrap=20, refit=False))
    artifact = house.registry.load("risk", 1)
    assert "headwater.stand_in" not in done.version.tags
    assert artifact.baseline is not None
    assert artifact.baseline.learned[1] + 7 * DAY <= int(done.facts["test_from_us"])
    assert house.registry.find("risk", KEY, done.key) == done.version


def test_the_registered_model_has_learned_the_newest_window(house: House) -> None:
    done = house.retrain(80)
    artifact = house.registry.load("risk", 1)
    assert artifact.baseline is not None
    assert artifact.baseline.learned[1] > int(done.facts["test_from_us"])
    assert artifact.baseline.learned[1] <= day(80) - 7 * DAY
    assert np.isfinite(artifact.metrics["roc_auc"])
