"""Protected columns: computed, told apart in fairness, and kept out of the model."""

from __future__ import annotations

import polars as pl

from headwater.core.errors import DefinitionError
from headwater.definitions.compile import compiled, content_hash
from headwater.models.inputs import Inputs
from tests.definitions.bank import model
from tests.letters import says


def test_a_protected_column_is_there_but_no_input() -> None:
    shielded = model(protected=["amount"])
    assert shielded.inputs == ("n_7d", "n_30d", "spent_30d")
    assert "amount" in shielded.columns
    frame = pl.DataFrame({"n_7d": [1], "n_30d": [2], "spent_30d": [3.0], "amount": [4.0]})
    assert Inputs.fit(shielded, frame).matrix(frame).tolist() == [[1.0, 2.0, 3.0]]


def test_admitted_it_is_an_input() -> None:
    admitted = model(protected=["amount", "n_7d"], protected_inputs=["amount"])
    assert admitted.inputs == ("n_30d", "spent_30d", "amount")


def test_a_derived_column_may_be_protected_and_read_protected_ones() -> None:
    derived = {"rich": pl.col("amount") > 100.0}
    assert "rich" not in model(derived=derived, protected=["amount", "rich"]).inputs


def test_models_that_declare_nothing_keep_their_hash() -> None:
    """The hash of this model before there were protected columns."""
    assert not {"protected", "protected_inputs"} & compiled(model()).keys()
    assert content_hash(model()) == "3bb3e8bb0d9ec39a95587d797fa0540d7710f7dfc44c593f7e78d40dd773ef38"


def test_declared_it_is_part_of_the_meaning() -> None:
    shielded = model(protected="amount")
    assert compiled(shielded)["protected"] == ["amount"]
    assert shielded != model()
    assert "protected_inputs" not in compiled(shielded)


def test_everything_that_cannot_hold_is_said_at_once() -> None:
    with says(
        DefinitionError,
        """
        the protected column 'sex' is none of the model's
          expected: one of n_7d, n_30d, spent_30d, amount, burn
          got:      'sex'
          where:    early_warning.protected[0]
          do:       make it a feature with hw.last, or a request column
        the column 'n_7d' is admitted as an input, but is not protected
          expected: one of sex, amount
          got:      'n_7d'
          where:    early_warning.protected_inputs[0]
          do:       name it in protected= too, or leave it out
        a derived input reads the protected column 'amount'
          expected: columns that are not protected
          got:      amount
          where:    early_warning.derived.burn
          do:       leave it out of the expression, or protect the derived column too
        """,
    ):
        model(
            derived={"burn": pl.col("amount") / pl.col("spent_30d")},
            protected=["sex", "amount"],
            protected_inputs=["n_7d"],
        )


def test_something_must_be_left_to_learn_from() -> None:
    with says(
        DefinitionError,
        """
        every column of the model is protected
          expected: at least one input that is not
          got:      n_7d, n_30d, spent_30d, amount
          where:    early_warning.protected
          do:       give the model something to learn from
        """,
    ):
        model(protected=["n_7d", "n_30d", "spent_30d", "amount"])
