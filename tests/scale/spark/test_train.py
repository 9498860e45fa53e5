"""``headwater train --on spark``: the training set and the model of the embedded one, to the bit."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

import headwater as hw
from headwater.apps.cli.failures import run
from headwater.apps.cli.main import cli
from headwater.core.batch import Batch
from headwater.core.errors import ConflictError, DataError
from headwater.engine.batches import batch_of
from headwater.models import flow
from headwater.training.dataset import TrainingSet, build
from headwater.training.train import Plan, train
from tests.apps.cli.shop import payments as shop_payments
from tests.apps.cli.shop import project_text, write_csv
from tests.letters import says
from tests.training.lender import BEHAVIOUR, PAYMENTS, many, model

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from headwater.scale.spark.past import SparkPast

pytestmark = pytest.mark.spark

# Asked daily, labelled by what is paid later; or asked at each payment, labelled by its own column.
DAILY = model()
EACH = model(
    name="fraud",
    label=hw.outcome("bad", known_after="3d"),
    observe=hw.each(PAYMENTS, where=pl.col("amount") > 20),
    request=["amount"],
    features=[BEHAVIOUR],
)


def late_log(seed: int = 4) -> Batch:
    """Payments in the order of a log that they reached up to nine days late, as offsets with gaps."""
    frame = many(accounts=30, days=60)
    random = np.random.default_rng(seed)
    wait = np.where(random.random(len(frame)) < 0.3, random.integers(0, 9 * 86_400_000_000, len(frame)), 0)
    came = frame["time"].dt.epoch("us").to_numpy() + wait
    frame = frame.with_columns(pl.Series("came", came).cast(pl.Datetime("us", "UTC")))[np.argsort(came)]
    batch = batch_of(PAYMENTS, frame, "came", ["who"])
    return replace(batch, offset=batch.offset * 3 + 7)


def on_spark(session: SparkSession, own: hw.Model, batch: Batch, **columns: Any) -> SparkPast:
    """The events of a batch as a table whose rows stand in no order."""
    from headwater.scale.spark.past import SparkPast, Table
    from tests.scale.spark.host import to_spark

    frame = batch.frame.with_columns(
        pl.Series("offset", batch.offset), pl.Series("came", batch.arrival).cast(pl.Datetime("us", "UTC"))
    )
    named = {"arrival": "came", "order": "offset"} | columns
    return SparkPast(own, {"payments": Table(PAYMENTS, to_spark(session, frame), **named)}, buckets=3)


def same(left: TrainingSet, right: TrainingSet) -> None:
    """Two training sets are one, to the bit, and of the same past."""
    assert left.frame.equals(right.frame)
    assert left.frame.schema == right.frame.schema
    for one, other in ((left.X, right.X), (left.y, right.y), (left.times, right.times)):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
    assert left.manifest == right.manifest
    assert left.flows == right.flows


@pytest.mark.parametrize("own", [DAILY, EACH], ids=["daily", "each"])
def test_the_training_set_is_the_embedded_one(
    spark: SparkSession, own: hw.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = late_log()
    monkeypatch.setattr(flow, "MOST_EVENTS", 100)  # so that lateness is looked at in every fifth event
    embedded = build(own, {"payments": batch})
    assert embedded.flows["payments"].lateness is not None
    assert len(embedded) > 100
    same(build(own, on_spark(spark, own, batch)), embedded)


def test_bounds_and_what_was_known_hold_on_spark(spark: SparkSession) -> None:
    batch = late_log()
    known = int(batch.arrival[len(batch) * 2 // 3])
    start, end = int(batch.time.min()) + 5 * 86_400_000_000, known - 20 * 86_400_000_000
    embedded = build(EACH, {"payments": batch}, start, end, known_by=known)
    same(build(EACH, on_spark(spark, EACH, batch), start, end, known_by=known), embedded)


def test_the_model_is_the_embedded_one(spark: SparkSession, tmp_path: Path) -> None:
    project, batch = hw.Project("lender", models=[DAILY]), late_log()
    digests = [
        train(project, None, events, None, now=0, plan=Plan(bootstrap=5)).artifact.save(tmp_path / name)
        for name, events in (("here", {"payments": batch}), ("spark", on_spark(spark, DAILY, batch)))
    ]
    assert digests[0] == digests[1]


def test_columns_that_the_model_does_not_read_may_be_missing(spark: SparkSession) -> None:
    own, batch = model(observe=hw.each(PAYMENTS), request=["amount"]), late_log()
    less = replace(batch, frame=batch.frame.drop("bad"))
    same(build(own, on_spark(spark, own, less)), build(own, {"payments": batch}))


def test_tables_that_are_not_as_they_should_be(spark: SparkSession) -> None:
    batch = late_log()
    with says(
        DataError,
        """
        the events of payments lack a column
          expected: the column 'seen_at'
          got:      id, who, time, amount, bad, offset, came
          where:    events.payments.seen_at
          do:       add the column, or name the one that is meant
        """,
    ):
        on_spark(spark, DAILY, batch, arrival="seen_at")
    offset, arrival, time = (np.append(one, one[:2]) for one in (batch.offset, batch.arrival, batch.time))
    twice = Batch("payments", offset, arrival, time, pl.concat([batch.frame, batch.frame[:2]]))
    with says(
        ConflictError,
        """
        the events of payments have ids that come twice
          expected: each id once
          got:      452 rows with 450 ids
          where:    events.payments.id
          do:       keep the row of each id that came first, where the table is written
        """,
    ):
        on_spark(spark, DAILY, twice)
    frame = batch.frame.with_columns(pl.when(pl.col("id") != 3).then("who").alias("who"))
    with says(
        DataError,
        """
        the events of payments lack a value
          expected: a value of who in each row
          got:      1 nulls
          where:    events.payments.who
          do:       mend or leave out these rows
        """,
    ):
        on_spark(spark, DAILY, replace(batch, frame=frame))
    frame = batch.frame.with_columns(
        pl.when(pl.col("id") == 3).then(float("nan")).otherwise("amount").alias("amount")
    )
    with pytest.raises(DataError) as caught:
        build(DAILY, on_spark(spark, DAILY, replace(batch, frame=frame)))
    assert "NaN" in str(caught.value)
    assert caught.value.problems[0].where is not None


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with its events, in the present folder."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "project.py").write_text(project_text(), encoding="utf-8")
    write_csv(shop_payments(), folder / "payments.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(cli, ["import", "payments.csv"]) == 0
        yield folder


def test_the_command_trains_the_same_model(
    spark: SparkSession, shop: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import json

    found = []
    events = spark.conf.get("spark.sql.session.timeZone")
    assert events != "UTC"
    for more in ([], ["--on", "spark"]):
        capfd.readouterr()
        assert run(cli, ["train", "--json", "--no-register", "--bootstrap", "5", *more]) == 0
        found.append(json.loads(capfd.readouterr().out))
    assert found[0] == found[1]
    assert not list((shop / ".headwater").glob("spark-*"))
    assert spark.range(3).count() == 3, "a session that ran before goes on"


def letter(args: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capfd.readouterr()
    code = run(cli, args)
    return code, capfd.readouterr().err


@pytest.mark.usefixtures("spark")
def test_the_command_says_what_is_missing(
    shop: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_it = ["train", "--on", "spark"]
    assert letter([*on_it, "--master", "sparkle"], capfd) == (
        4,
        (
            "this is no address of Spark\n"
            "  expected: local[N], spark://HOST:PORT, yarn or k8s://URL\n"
            "  got:      sparkle\n"
            "  where:    --master\n"
            "  do:       name where Spark runs, or leave it out for this machine\n"
        ),
    )
    (shop / "lake" / "payments").mkdir(parents=True)
    assert letter([*on_it, "--events", f"{shop}/nowhere"], capfd) == (
        4,
        (
            "there is no table of the stream payments that Spark can read\n"
            "  expected: a parquet table\n"
            "  got:      PATH_NOT_FOUND\n"
            f"  where:    {shop}/nowhere/payments\n"
            "  do:       look at --events and --format; "
            "Delta and Iceberg need packages and settings for this Spark\n"
        ),
    )
    assert letter(["train", "--master", "local[2]"], capfd) == (
        2,
        "--master is for --on spark\n  do:       see `headwater train --help`\n",
    )
    monkeypatch.setenv("JAVA_HOME", str(shop))
    assert letter(on_it, capfd) == (
        2,
        (
            "Spark needs Java\n"
            "  expected: Java 17 or 21\n"
            f"  got:      JAVA_HOME={shop}, which holds no bin/java\n"
            "  do:       install a JRE, or let JAVA_HOME name one\n"
        ),
    )
    monkeypatch.setitem(sys.modules, "pyspark", None)
    assert letter(on_it, capfd) == (
        2,
        (
            "PySpark is not installed\n"
            "  expected: the package pyspark\n"
            "  do:       pip install 'headwater[spark]'\n"
        ),
    )
