from __future__ import annotations

import polars as pl
import pytest

import headwater as hw
from headwater.core.errors import DefinitionError
from headwater.core.instant import DAY
from tests.definitions.bank import UTC, Guess, behaviour, model, transactions
from tests.letters import says

payments = hw.Stream(
    "payments",
    {"card": pl.Int64, "shop": pl.String, "time": UTC, "amount": pl.Float64, "is_fraud": pl.Boolean},
)
cards = hw.FeatureView("cards", payments, "card", {"n": hw.count(over="1d")})
shops = hw.FeatureView("shops", payments, "shop", {"seen": hw.count(over="1d")})


def fraud(**changes: object) -> hw.Model:
    arguments = {
        "name": "fraud",
        "features": [cards, shops],
        "label": hw.outcome("is_fraud", known_after="7d"),
        "observe": hw.each(payments),
        "estimator": Guess(),
    }
    return hw.Model(**(arguments | changes))  # type: ignore[arg-type]


def test_the_feature_vector_has_a_fixed_order() -> None:
    burn = {"burn": pl.col("n_7d") / pl.col("n_30d")}
    assert model(request=["asked"], derived=burn).inputs == (
        "n_7d", "n_30d", "spent_30d", "amount", "asked", "burn",
    )  # fmt: skip
    assert model().entity == "account_id"


def test_dates_and_times_are_for_derived_columns_only() -> None:
    night = {"weekend": pl.col("time").dt.weekday() > 5}
    one = fraud(request=["amount", "time"], derived=night)
    assert one.inputs == ("n_1d", "seen_1d", "amount", "weekend")
    assert one.columns["time"] == pl.Datetime("us", "UTC")
    assert one.keys == ("card", "shop")


def test_labels_look_forward() -> None:
    late = hw.happens(transactions, within="90d", delay="3d")
    assert (late.horizon, late.delay) == (90 * DAY, 3 * DAY)
    known = hw.outcome("is_fraud", known_after="7d")
    assert (known.horizon, known.delay) == (7 * DAY, 0)


def test_every_part_is_looked_at() -> None:
    with says(
        DefinitionError,
        """
        the name of a model is not an identifier
          expected: letters, digits and underscores, not starting with a digit
          got:      ''
          where:    Model.name
          do:       rename it, for example to 'balance_min'
        features is something else
          expected: a list of hw.FeatureView
          got:      []
          where:    Model.features
          do:       give a list of hw.FeatureView
        label is something else
          expected: hw.happens(...) or hw.outcome(...)
          got:      'default'
          where:    Model.label
          do:       give hw.happens(...) or hw.outcome(...)
        observe is something else
          expected: hw.every("30d") or hw.each(stream)
          got:      '30d'
          where:    Model.observe
          do:       give hw.every("30d") or hw.each(stream)
        retrain is something else
          expected: hw.rolling(every=..., window=...)
          got:      '7d'
          where:    Model.retrain
          do:       give hw.rolling(every=..., window=...)
        the estimator cannot be fitted to give probabilities
          expected: an object with fit and predict_proba
          got:      5
          where:    Model.estimator
          do:       choose a classifier that gives probabilities, or wrap it in a calibrator
        """,
    ):
        model(name="", features=[], label="default", observe="30d", retrain="7d", estimator=5)


def test_an_estimator_is_an_object() -> None:
    with says(
        DefinitionError,
        """
        the estimator cannot be fitted to give probabilities
          expected: an object with fit and predict_proba
          got:      the class Guess
          where:    early_warning.estimator
          do:       call it: Guess()
        """,
    ):
        model(estimator=Guess)


def test_spans_of_labels_and_times_are_reported_with_the_rest() -> None:
    with says(
        DefinitionError,
        """
        a span of time cannot be read
          expected: a number and a unit: us, ms, s, m, h, d or w, such as '30d' or '1h30m'
          got:      'quarter'
          where:    early_warning.label.within
          do:       write the span with its unit
        a span of time cannot be read
          expected: a number and a unit: us, ms, s, m, h, d or w, such as '30d' or '1h30m'
          got:      'month'
          where:    early_warning.observe.span
          do:       write the span with its unit
        a span of time cannot be read
          expected: a number and a unit: us, ms, s, m, h, d or w, such as '30d' or '1h30m'
          got:      'year'
          where:    early_warning.retrain.window
          do:       write the span with its unit
        the column 'n_31d' is not in the features and request columns
          expected: one of n_7d, n_30d, spent_30d, amount
          got:      'n_31d'
          where:    early_warning.derived.burn
          do:       did you mean 'n_30d'?
        """,
    ):
        model(
            label=hw.happens(transactions, within="quarter"),
            observe=hw.every("month"),
            retrain=hw.rolling("7d", "year"),
            derived={"burn": pl.col("n_31d") * 2},
        )


def test_the_label_knows_the_key() -> None:
    with says(
        DefinitionError,
        """
        the stream payments lacks the model's key
          expected: a column account_id: Int64
          got:      card, shop, time, amount, is_fraud
          where:    early_warning.label.stream
          do:       add the key to the stream's events, or take another stream
        an expression has the wrong type
          expected: a Boolean
          got:      Float64 from col("amount")
          where:    early_warning.label.where
          do:       write an expression that gives a Boolean
        """,
    ):
        model(label=hw.happens(payments, where=pl.col("amount"), within="90d"))


def test_a_key_has_one_type() -> None:
    text = hw.Stream("calls", {"account_id": pl.String, "time": UTC})
    calls = hw.FeatureView("calls", text, "account_id", {"called": hw.count()})
    with says(
        DefinitionError,
        """
        the key 'account_id' has two types
          expected: Int64
          got:      String
          where:    early_warning.features.calls.key
          do:       declare it alike in all streams
        """,
    ):
        model(features=[behaviour, calls])


def test_names_that_meet() -> None:
    other = hw.FeatureView("other", transactions, "account_id", {"n": hw.count(over="7d")})
    with says(
        DefinitionError,
        """
        two columns would be called 'n_7d'
          expected: different names for the keys, features, request columns and derived columns
          got:      behaviour.features.n and other.features.n
          where:    early_warning.features
          do:       rename one of them
        two columns would be called 'account_id'
          expected: different names for the keys, features, request columns and derived columns
          got:      the key and request[0]
          where:    early_warning.request[0]
          do:       rename one of them
        two columns would be called 'amount'
          expected: different names for the keys, features, request columns and derived columns
          got:      behaviour.features.amount and derived.amount
          where:    early_warning.derived.amount
          do:       rename one of them
        """,
    ):
        model(features=[behaviour, other], request=["account_id"], derived={"amount": pl.col("n_7d") + 1})
    with says(
        DefinitionError,
        """
        2 feature views are called 'behaviour'
          expected: views with different names, each listed once
          got:      behaviour, behaviour
          where:    early_warning.features
          do:       rename one of them, or list it once
        """,
    ):
        model(features=[behaviour, behaviour])


def test_several_keys_meet_in_an_event() -> None:
    with says(
        DefinitionError,
        """
        a model with several keys cannot be observed at regular times
          expected: views of one key, or observe=hw.each(stream)
          got:      the keys card, shop
          where:    fraud.observe
          do:       observe each event of a stream that has all the keys
        an outcome is a column of the observed event, but no event is observed
          expected: observe=hw.each(stream)
          got:      observe=hw.every(...)
          where:    fraud.label
          do:       observe each event of the stream that has the column, or use hw.happens
        """,
    ):
        fraud(observe=hw.every("1d"))


def test_the_observed_stream() -> None:
    with says(
        DefinitionError,
        """
        the stream transactions lacks the model's key
          expected: a column card: Int64
          got:      transaction_id, account_id, booked_at, direction, purpose, amount, is_fraud, day
          where:    fraud.observe.stream
          do:       add the key to the stream's events, or take another stream
        the stream transactions lacks the model's key
          expected: a column shop: String
          got:      transaction_id, account_id, booked_at, direction, purpose, amount, is_fraud, day
          where:    fraud.observe.stream
          do:       add the key to the stream's events, or take another stream
        an expression has the wrong type
          expected: a Boolean
          got:      Float64 from col("amount")
          where:    fraud.observe.where
          do:       write an expression that gives a Boolean
        the column 'country' is not in the schema of transactions
          expected: one of transaction_id, account_id, booked_at, direction, purpose, amount, is_fraud, day
          got:      'country'
          where:    fraud.request
          do:       name a column that is in the schema of transactions
        """,
    ):
        fraud(observe=hw.each(transactions, where=pl.col("amount")), request=["country"])


def test_an_outcome_is_true_or_false() -> None:
    with says(
        DefinitionError,
        """
        an outcome is neither true nor false
          expected: a Boolean column, or an integer 0 or 1
          got:      Float64
          where:    fraud.label.column
          do:       declare the column as pl.Boolean
        """,
    ):
        fraud(label=hw.outcome("amount"))


def test_an_outcome_never_leaks_into_its_own_features() -> None:
    """The window of a share of fraud must end before outcomes are known.

    known_after=7d      t-8d       t-7d                    t
    share over 1d,       (----------]                      |      delay=7d: all reports are in
    the same, delay=0                           (----------]      holds the outcome to be foreseen
    """
    share = hw.FeatureView(
        "share",
        payments,
        "shop",
        {
            "known": hw.mean("is_fraud", over="1d", delay="7d"),
            "leaking": hw.mean("is_fraud", over="1d", delay="6d"),
            "counting": hw.count(where=pl.col("is_fraud"), over="1d"),
        },
    )
    with says(
        DefinitionError,
        """
        the outcome is an input of its own model
          expected: columns that are known when the event is scored
          got:      is_fraud
          where:    fraud.request
          do:       take it out of request=
        a feature reads the outcome before it is known
          expected: delay='7d' or longer
          got:      delay='6d'
          where:    fraud.features.share.features.leaking
          do:       let the window end when the outcome is known, with delay=
        a feature reads the outcome before it is known
          expected: delay='7d' or longer
          got:      delay='0d'
          where:    fraud.features.share.features.counting
          do:       let the window end when the outcome is known, with delay=
        """,
    ):
        fraud(features=[cards, share], request=["is_fraud"])


@pytest.mark.parametrize("column", ["is_fraud", "card"])
def test_booleans_and_integers_are_outcomes(column: str) -> None:
    assert fraud(label=hw.outcome(column)).label == hw.outcome(column)


def test_streams_are_streams() -> None:
    with says(
        DefinitionError,
        """
        label.stream is something else
          expected: an hw.Stream
          got:      'loans'
          where:    early_warning.label.stream
          do:       give an hw.Stream
        observe.stream is something else
          expected: an hw.Stream
          got:      'loans'
          where:    early_warning.observe.stream
          do:       give an hw.Stream
        """,
    ):
        model(
            label=hw.happens("loans", within="90d"),  # type: ignore[arg-type]
            observe=hw.each("loans"),  # type: ignore[arg-type]
        )


def test_an_outcome_is_a_column_of_the_observed_stream() -> None:
    with says(
        DefinitionError,
        """
        the column 'fraud' is not in the schema of payments
          expected: one of card, shop, time, amount, is_fraud
          got:      'fraud'
          where:    fraud.label.column
          do:       did you mean 'is_fraud'?
        """,
    ):
        fraud(label=hw.outcome("fraud"))
