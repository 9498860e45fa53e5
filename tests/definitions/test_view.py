from __future__ import annotations

import polars as pl

import headwater as hw
from headwater.core.errors import DefinitionError, Problem
from headwater.core.instant import DAY
from headwater.definitions.compile import content_hash
from headwater.definitions.view import view_hash
from tests.definitions.bank import UTC, behaviour, transactions
from tests.letters import says


def test_each_window_is_a_column() -> None:
    assert [(o.name, o.over, o.feature) for o in behaviour.outputs] == [
        ("n_7d", 7 * DAY, "n"),
        ("n_30d", 30 * DAY, "n"),
        ("spent_30d", 30 * DAY, "spent"),
        ("amount", None, "amount"),
    ]
    assert behaviour.outputs[0].aggregate is behaviour.features["n"]


def test_problems_of_the_view_and_of_all_features_come_together() -> None:
    with says(
        DefinitionError,
        """
        the name of a feature view is not an identifier
          expected: letters, digits and underscores, not starting with a digit
          got:      'my view'
          where:    my view.name
          do:       rename it, for example to 'balance_min'
        the column 'acount_id' is not in the schema of transactions
          expected: one of transaction_id, account_id, booked_at, direction, purpose, amount, is_fraud, day
          got:      'acount_id'
          where:    my view.key
          do:       did you mean 'account_id'?
        the name of a feature is not an identifier
          expected: letters, digits and underscores, not starting with a digit
          got:      '7 days'
          where:    my view.features.7 days
          do:       rename it, for example to 'balance_min'
        spent is something else
          expected: an aggregation such as hw.count()
          got:      'amount'
          where:    my view.features.spent
          do:       give an aggregation such as hw.count()
        """,
    ):
        hw.FeatureView(
            "my view",
            transactions,
            "acount_id",
            {"7 days": hw.count(), "spent": "amount"},  # type: ignore[dict-item]
        )


def test_names_that_meet() -> None:
    with says(
        DefinitionError,
        """
        two columns would be called 'n_1d'
          expected: different names for the key and all features
          got:      features.n and features.n
          where:    view
          do:       rename one of them
        two columns would be called 'account_id'
          expected: different names for the key and all features
          got:      the key and features.account_id
          where:    view
          do:       rename one of them
        """,
    ):
        hw.FeatureView(
            "view",
            transactions,
            "account_id",
            {"n": hw.count(over=["1d", "24h"]), "account_id": hw.last("account_id")},
        )


def test_keys_are_exact() -> None:
    with says(
        DefinitionError,
        """
        a key has a type that cannot tell entities apart exactly
          expected: an integer, String, Enum, Categorical or Boolean
          got:      Float64
          where:    view.key
          do:       choose another key, or declare the column as pl.Int64 or pl.String
        """,
    ):
        hw.FeatureView("view", transactions, "amount", {"n": hw.count()})
    for key in ("purpose", "direction", "is_fraud"):
        hw.FeatureView("view", transactions, key, {"n": hw.count()})


def test_features_and_a_stream_are_needed() -> None:
    with says(
        DefinitionError,
        """
        a feature view needs features
          expected: a mapping from name to aggregation
          got:      {}
          where:    view.features
          do:       name at least one: features={"n": hw.count(over="7d")}
        """,
    ):
        hw.FeatureView("view", transactions, "account_id", {})
    with says(
        DefinitionError,
        """
        stream is something else
          expected: an hw.Stream
          got:      'transactions'
          where:    view.stream
          do:       give an hw.Stream
        """,
    ):
        hw.FeatureView("view", "transactions", "account_id", {"n": hw.count()})  # type: ignore[arg-type]


def test_personal_columns_are_noticed_but_allowed() -> None:
    view = hw.FeatureView(
        "view",
        transactions,
        "purpose",
        {"n": hw.count(), "rent": hw.count(where=pl.col("purpose") == "rent")},
    )
    assert view.notices == (
        Problem(
            "a feature reads the personal column 'purpose'",
            where="view.features.rent",
            do="see whether the feature may be used; erasing a subject erases it too",
        ),
    )


def stream(**changes: object) -> hw.Stream:
    schema = {"id": pl.Int64, "k": pl.Int64, "time": UTC, "x": pl.Float64, "unread": pl.String}
    return hw.Stream(**{"name": "s", "schema": schema, "id": "id", **changes})  # type: ignore[arg-type]


def view(source: hw.Stream, **features: hw.Aggregate) -> hw.FeatureView:
    return hw.FeatureView("v", source, "k", features or {"n": hw.count(), "x": hw.sum("x", over="7d")})


def test_the_hash_of_a_view_covers_what_its_values_depend_on() -> None:
    base = view_hash(view(stream()))
    fewer = {"id": pl.Int64, "k": pl.Int64, "time": UTC, "x": pl.Float64}
    # None of these can change a value.
    assert view_hash(view(stream(schema=fewer))) == base
    assert view_hash(view(stream(schema=dict(reversed(fewer.items()))))) == base
    assert view_hash(view(stream(personal=["x"]))) == base
    # Each of these can, or moves what a state holds.
    others = [
        view(stream(schema=fewer | {"x": pl.Float32})),
        view(stream(id=None)),
        view(stream(name="other")),
        view(stream(), x=hw.sum("x", over="7d"), n=hw.count()),  # state is laid out in this order
        view(stream(), n=hw.count(), x=hw.sum("x", over="8d")),
        view(stream(), n=hw.count(), x=hw.sum("x", over="7d", delay="1d")),
        view(stream(), n=hw.count(where=pl.col("x") > 0), x=hw.sum("x", over="7d")),
        hw.FeatureView("w", stream(), "k", {"n": hw.count(), "x": hw.sum("x", over="7d")}),
    ]
    assert len({view_hash(other) for other in others} | {base}) == len(others) + 1
    assert content_hash(view(stream(schema=fewer))) != content_hash(view(stream()))
