"""Training sets, drawn: which rows there are, what they see, and what came true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import headwater as hw
from headwater.core.batch import Batch
from headwater.core.errors import ConflictError, DataError, TrainingError
from headwater.engine.run import Engine
from headwater.log.embedded import EmbeddedLog
from headwater.training.dataset import TrainingSet, build, rows
from headwater.training.history import gather
from tests.letters import says
from tests.training.lender import BEHAVIOUR, PAYMENTS, day, days, many, model, payments


def seen(found: TrainingSet, *columns: str) -> list[tuple[Any, ...]]:
    """Each row as its day and some columns."""
    return [
        (when, *row)
        for when, row in zip(days(found.times), found.frame.select(columns).iter_rows(), strict=True)
    ]


def arrived(frame: pl.DataFrame, *when: float) -> Batch:
    """The payments as a batch of a log, with the days on which they arrived."""
    time = frame["time"].dt.epoch("us").to_numpy()
    return Batch("payments", np.arange(len(frame)), np.array([day(d) for d in when]), time, frame)


class TestEvery:
    def test_an_account_is_observed_from_its_first_event_on_until_labels_run_out(self) -> None:
        #   day  0    1    2    3    4    ...   12    13
        #   ada            x                          x      newest: 13.5, so labels are known up to 3.5
        #   bob       x
        #             |    o    o    o
        #   ada at 2 (her event is at 1.5) and 3, bob at 1 (his is at 1 exactly), 2 and 3
        events = payments((1, "bob", 5), (1.5, "ada", 7), (13.5, "ada", 1))
        found = build(model(), {"payments": events})
        assert seen(found, "who", "n") == [
            (1.0, "bob", 1),
            (2.0, "ada", 1),
            (2.0, "bob", 1),
            (3.0, "ada", 1),
            (3.0, "bob", 1),
        ]

    def test_the_grid_is_the_same_for_everybody(self) -> None:
        events = payments((0.3, "ada", 5), (4.9, "bob", 7), (60, "ada", 1))
        found = build(model(observe=hw.every("7d")), {"payments": events})
        assert (found.times % (7 * 86_400_000_000) == 0).all()

    def test_an_account_is_not_known_before_its_first_event_has_arrived(self) -> None:
        #   the event of day 1 arrives on day 3.2: nobody could have observed ada before day 4
        batch = arrived(payments((1, "ada", 5), (20, "ada", 5)), 3.2, 20)
        assert days(build(model(), {"payments": batch}).times)[:2] == [4.0, 5.0]

    def test_what_had_not_arrived_is_not_seen(self) -> None:
        #   day       0    1    2    3
        #   happens   5    7
        #   arrives   5         7           so at day 1 the account has spent 5, at day 2 it has spent 12
        batch = arrived(payments((0, "ada", 5), (0.5, "ada", 7), (20, "ada", 1)), 0, 1.5, 20)
        assert seen(build(model(), {"payments": batch}), "spent_30d")[:3] == [(0, 5.0), (1, 5.0), (2, 12.0)]

    def test_bounds_leave_observations_out(self) -> None:
        events = payments((0, "ada", 5), (20, "ada", 1))
        found = build(model(), {"payments": events}, start=day(2), end=day(5))
        assert days(found.times) == [2.0, 3.0, 4.0]

    def test_request_columns_cannot_be_known_at_regular_times(self) -> None:
        with says(
            TrainingError,
            """
            the model's request columns cannot be known at regular times
              expected: columns of an observed event: observe=hw.each(stream)
              got:      income
              where:    risk.request
              do:       observe each event of the stream that has them, or make them a feature with hw.last
            """,
        ):
            build(model(request=["income"]), {"payments": payments((0, "ada", 5), (20, "ada", 1))})


class TestHappens:
    """One observation of ada on day 0; the label is whether she pays more than 100 within ten days."""

    @pytest.mark.parametrize(
        ("when", "label"),
        [
            # day  0         10
            #      (----------]
            (0.0, 0.0),  # at the observation itself: seen by the features, not by the label
            (0.001, 1.0),
            (10.0, 1.0),  # just at the end
            (10.001, 0.0),
        ],
    )
    def test_the_window_looks_forward_and_holds_its_end(self, when: float, label: float) -> None:
        events = payments((0, "ada", 5), (when, "ada", 500), (30, "bob", 1)).sort("time")
        found = build(model(), {"payments": events}, end=day(0.5))
        assert found.y.tolist() == [label]
        assert found.frame["label"].to_list() == [label == 1.0]

    def test_a_label_takes_its_delay_to_be_known(self) -> None:
        slow = hw.happens(PAYMENTS, pl.col("amount") > 100, within="10d", delay="3d")
        events = payments((0, "ada", 5), (15, "ada", 1))
        assert days(build(model(), {"payments": events}).times)[-1] == 5.0
        assert days(build(model(label=slow), {"payments": events}).times)[-1] == 2.0

    @pytest.mark.parametrize(("arrives", "label"), [(12.9, 1.0), (13.1, 0.0)])
    def test_an_event_counts_if_it_has_arrived_when_the_label_is_due(
        self, arrives: float, label: float
    ) -> None:
        #   day  0         10   13
        #        (----------]   |        the payment of day 9 must have arrived by day 13
        slow = hw.happens(PAYMENTS, pl.col("amount") > 100, within="10d", delay="3d")
        batch = arrived(payments((0, "ada", 5), (9, "ada", 500), (30, "bob", 1)), 0, arrives, 30)
        found = build(model(label=slow), {"payments": batch}, end=day(0.5))
        assert found.y.tolist() == [label]

    def test_others_payments_do_not_count(self) -> None:
        events = payments((0, "ada", 5), (1, "bob", 500), (30, "bob", 1))
        assert build(model(), {"payments": events}, end=day(0.5)).y.tolist() == [0.0]


class TestEach:
    def test_one_row_for_each_event_that_fits(self) -> None:
        small = model(observe=hw.each(PAYMENTS, pl.col("amount") < 50), request=["amount"])
        events = payments((0, "ada", 5), (1, "bob", 70), (1.5, "ada", 8), (30, "bob", 1))
        found = build(small, {"payments": events})
        assert seen(found, "who", "amount", "n", "spent_30d") == [
            (0, "ada", 5.0, 1, 5.0),
            (1.5, "ada", 8.0, 2, 13.0),
        ]

    def test_a_row_sees_what_had_arrived_with_its_event(self) -> None:
        #   day       0    1    2    3
        #   happens   5    7    9
        #   arrives   5              7 9      the row of day 1 was asked on day 3, and sees itself; the row of
        #                                     day 2 sees all three
        batch = arrived(payments((0, "ada", 5), (1, "ada", 7), (2, "ada", 9), (30, "ada", 1)), 0, 3, 3, 30)
        found = build(model(observe=hw.each(PAYMENTS)), {"payments": batch}, end=day(3))
        assert seen(found, "n", "spent_30d") == [(0, 1, 5.0), (1, 2, 12.0), (2, 3, 21.0)]

    def test_several_keys(self) -> None:
        shops = hw.Stream(
            "sales", {"time": PAYMENTS.schema["time"], "who": pl.String, "shop": pl.Int64, "bad": pl.Boolean}
        )
        views = [
            hw.FeatureView("people", shops, key="who", features={"n": hw.count()}),
            hw.FeatureView("shops", shops, key="shop", features={"sold": hw.count()}),
        ]
        sales = pl.DataFrame(
            {
                "time": payments((0, "a", 0), (1, "b", 0), (2, "a", 0))["time"],
                "who": ["ada", "bob", "ada"],
                "shop": [1, 1, 2],
                "bad": [True, False, None],
            },
            schema=dict(shops.schema),
        )
        both = model(features=views, label=hw.outcome("bad"), observe=hw.each(shops))
        found = build(both, {"sales": sales})
        assert seen(found, "who", "shop", "n", "sold") == [(0, "ada", 1, 1, 1), (1, "bob", 1, 1, 2)]
        assert found.y.tolist() == [1.0, 0.0]
        assert found.manifest.unlabelled == 1

    def test_an_outcome_is_known_only_later(self) -> None:
        later = model(label=hw.outcome("bad", known_after="7d"), observe=hw.each(PAYMENTS))
        events = payments((0, "ada", 5, True), (1, "ada", 5, False), (7.5, "ada", 5, True))
        found = build(later, {"payments": events})
        assert (days(found.times), found.y.tolist()) == ([0.0], [1.0])
        assert found.manifest.unmatured == 2

    def test_an_outcome_that_is_neither_0_nor_1(self) -> None:
        stream = hw.Stream("loans", {"time": PAYMENTS.schema["time"], "who": pl.Int64, "status": pl.Int64})
        view = hw.FeatureView("v", stream, key="who", features={"n": hw.count()})
        loans = pl.DataFrame(
            {"time": payments((0, "a", 0), (1, "b", 0))["time"], "who": [1, 2], "status": [1, 3]},
            schema=dict(stream.schema),
        )
        with says(
            TrainingError,
            """
            the outcome 'status' is neither 0 nor 1
              expected: 0, 1, or null where it is not known
              got:      3, and 0 more such rows
              where:    the event at 2026-01-02T00:00:00Z
              do:       mend the events, or declare the column as pl.Boolean
            """,
        ):
            build(
                model(features=[view], label=hw.outcome("status"), observe=hw.each(stream)), {"loans": loans}
            )


class TestPointInTime:
    def test_it_is_what_live_reads_gave_at_those_moments(self) -> None:
        """Feed the events one by one; before time passes an observation, read it live."""
        frame = many(accounts=5, days=60)
        found = build(model(observe=hw.every("3d")), {"payments": frame})
        batch = gather({"payments": frame}, [PAYMENTS])["payments"]
        engine, fed = Engine([BEHAVIOUR]), 0
        live = []
        for when, who in zip(found.times, found.frame["who"], strict=True):
            until = int(np.searchsorted(batch.arrival, when, side="right"))
            for place in range(fed, until):
                engine.apply(batch[place : place + 1])
            fed = until
            live.append(engine.read("behaviour", [who], int(when)))
        assert pl.concat(live).equals(found.frame.select("n", "spent_30d", "last"))

    def test_what_happens_later_changes_no_row(self) -> None:
        early = many(days=100)
        late = many(days=100, seed=1).with_columns(
            pl.col("id") + 10**6, pl.col("time") + pl.duration(days=100)
        )
        before = build(model(), {"payments": early})
        after = build(model(), {"payments": pl.concat([early, late])}, known_by=before.manifest.known_by)
        assert after.frame.equals(before.frame)
        assert after.manifest.checksums == before.manifest.checksums

    def test_a_log_gives_what_its_frames_give(self, tmp_path: Path) -> None:
        frame = many(accounts=8, days=60)
        with EmbeddedLog.open(tmp_path / "log", [PAYMENTS]) as log:
            log.append("payments", frame, arrival=frame["time"].dt.epoch("us").to_numpy())
            from_log = build(model(), log)
        assert from_log.frame.equals(build(model(), {"payments": frame}).frame)
        assert from_log.manifest.sources["payments"].events == len(frame)
        assert from_log.manifest.digest == build(model(), {"payments": frame}).manifest.digest


class TestManifest:
    def test_it_says_what_the_set_was_made_of(self) -> None:
        events = payments((0, "ada", 5), (3, "ada", 500), (12.5, "ada", 1))
        manifest = build(model(), {"payments": events}, start=day(1)).manifest
        assert (manifest.model, len(manifest.definition_hash)) == ("risk", 64)
        source = manifest.sources["payments"]
        assert (source.events, source.first, source.last, source.newest_arrival) == (3, 0, 2, day(12.5))
        assert (manifest.start, manifest.end, manifest.known_by) == (day(1), None, day(12.5))
        assert days([manifest.mature_until]) == [2.5]
        assert (manifest.rows, manifest.positives, manifest.unmatured) == (2, 2, 10)
        assert manifest.summary() == (
            "2 rows, 2 of them positive, observed until 2026-01-03T12:00:00Z (10 not mature), from 3 events"
        )
        assert type(manifest).from_json(manifest.to_json()) == manifest

    def test_the_same_events_have_the_same_digest_and_others_another(self) -> None:
        frame = many(accounts=5, days=40)
        digest = build(model(), {"payments": frame}).manifest.digest
        assert build(model(), {"payments": frame.clone()}).manifest.digest == digest
        other = frame.with_columns(amount=pl.when(pl.col("id") == 3).then(1.5).otherwise("amount"))
        assert build(model(), {"payments": other}).manifest.digest != digest
        assert build(model(observe=hw.every("2d")), {"payments": frame}).manifest.digest != digest

    def test_how_a_frame_lies_in_memory_does_not_count(self) -> None:
        frame = many(accounts=5, days=40)
        chunked = pl.concat([frame[:50], frame[50:]], rechunk=False)
        assert (
            build(model(), {"payments": chunked}).manifest.checksums
            == build(model(), {"payments": frame}).manifest.checksums
        )


def test_some_rows_learn_their_categories_anew() -> None:
    texts = hw.FeatureView("t", PAYMENTS, key="who", features={"first": hw.first(pl.col("who"))})
    found = build(model(features=[texts]), {"payments": many(accounts=3, days=40)})
    assert found.inputs.categories == {"first": ("account 0", "account 1", "account 2")}
    some = rows(found, found.frame["who"].to_numpy() == "account 1")
    assert some.inputs.categories == {"first": ("account 1",)}
    assert set(some.X[:, 0]) == {0.0}
    assert len(some) == len(some.times) == len(some.frame) < len(found)


class TestRefusals:
    def test_a_missing_stream(self) -> None:
        with says(
            DataError,
            """
            streams that the model reads are missing
              expected: payments
              got:      transfers
              do:       give the events of payments
            """,
        ):
            build(model(), {"transfers": payments()})

    def test_no_events(self) -> None:
        with says(
            TrainingError,
            """
            there are no events to learn from
              expected: events of payments
              got:      none
              where:    risk
              do:       import history first
            """,
        ):
            build(model(), {"payments": payments()})

    def test_no_mature_label(self) -> None:
        with says(
            TrainingError,
            """
            no observation has a label that is known yet
              expected: observations up to 2025-12-26T00:00:00Z, 10d before the newest event
              got:      5 observations, the first at 2026-01-01T00:00:00Z
              where:    risk
              do:       import more history, observe more often, or look at the bounds
            """,
        ):
            build(model(), {"payments": payments((0, "ada", 5), (4, "ada", 1))})

    def test_an_event_twice_with_other_content(self) -> None:
        frame = payments((0, "ada", 5), (4, "ada", 1)).with_columns(id=pl.lit(7, pl.Int64))
        with pytest.raises(ConflictError, match="an event id comes again with other content"):
            build(model(), {"payments": frame})

    def test_an_event_twice_counts_once(self) -> None:
        frame = payments((0, "ada", 5), (20, "ada", 1))
        twice = pl.concat([frame, frame])
        assert build(model(), {"payments": twice}).frame["n"].to_list()[0] == 1

    def test_an_event_without_a_key(self) -> None:
        frame = payments((0, "ada", 5), (20, "ada", 1)).with_columns(
            who=pl.when(pl.col("id") == 0).then(None).otherwise("who")
        )
        with pytest.raises(DataError, match="who is missing in 1 of 2 rows"):
            build(model(), {"payments": frame})


def test_a_feature_called_label_or_time_is_in_nobodys_way() -> None:
    odd = hw.FeatureView(
        "odd", PAYMENTS, key="who", features={"label": hw.count(), "time": hw.last("amount")}
    )
    found = build(model(features=[odd]), {"payments": payments((0, "ada", 5), (20, "ada", 1))})
    assert found.frame.columns == ["who", "time_", "label", "time", "label_"]
    assert found.inputs.names == ("label", "time")


def test_a_training_set_is_a_value() -> None:
    found = build(model(), {"payments": payments((0, "ada", 5), (20, "ada", 1))})
    with pytest.raises(AttributeError):
        found.y = found.y  # type: ignore[misc]
    assert len(replace(found, y=found.y[:1])) == 1
