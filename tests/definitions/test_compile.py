from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import headwater as hw
from headwater.definitions.compile import Change, canonical_json, compiled, content_hash, difference
from tests.definitions.bank import Guess, behaviour, model, policy, project, texts, transactions


def test_the_canonical_json_of_a_feature_view_is_pinned() -> None:
    """State, training sets, models and decisions carry hashes of this text: it never changes by accident."""
    assert canonical_json(behaviour) == (
        '{"features":{'
        '"amount":{"column":{"expr":{"Column":"amount"}},"delay":0,"half_life":null,"kind":"aggregate","op":"last",'
        '"over":[null],"q":null,"where":null},'
        '"n":{"column":null,"delay":0,"half_life":null,"kind":"aggregate","op":"count",'
        '"over":[604800000000,2592000000000],"q":null,"where":null},'
        '"spent":{"column":{"expr":{"Column":"amount"}},"delay":0,"half_life":null,"kind":"aggregate","op":"sum",'
        '"over":[2592000000000],"q":null,"where":{"expr":{"BinaryExpr":{"left":{"Column":"direction"},"op":"Eq",'
        '"right":{"Literal":{"Scalar":{"String":"debit"}}}}}}}},'
        '"key":"account_id","kind":"feature_view","name":"behaviour","stream":{"id":"transaction_id",'
        '"kind":"stream","name":"transactions","personal":["purpose"],"schema":{"account_id":"Int64",'
        '"amount":"Float64","booked_at":"Datetime(time_unit=\'us\', time_zone=\'UTC\')","day":"Date",'
        '"direction":"Enum([\'credit\', \'debit\'])","is_fraud":"Boolean","purpose":"String",'
        '"transaction_id":"Int64"},"time":"booked_at"}}'
    )


def test_hashes_are_pinned() -> None:
    assert content_hash(behaviour) == "2257364f7e0de3c6c69e9d51a0276ee4531532068a0b59042efce0536a2e1715"
    assert content_hash(project) == "64664fc40d4b436e54832074073f6dc5c64f854100340c51826cf202927454cd"


def test_a_project_names_each_part_once() -> None:
    form = compiled(project)
    assert set(form) == {"kind", "name", "lateness", "streams", "views", "models", "policies"}
    assert form["models"]["early_warning"]["features"] == ["behaviour"]
    assert form["models"]["early_warning"]["inputs"] == ["n_7d", "n_30d", "spent_30d", "amount"]
    assert form["views"]["behaviour"]["stream"] == "transactions"
    assert form["policies"]["care"]["model"] == "early_warning"


SCRIPT = """
from headwater.definitions.compile import content_hash
from tests.definitions.bank import project, texts
print(content_hash(project), content_hash(texts))
"""


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_hash_is_the_same_in_every_process(seed: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == [content_hash(project), content_hash(texts)]


def test_order_counts_only_where_it_means_something() -> None:
    features = dict(reversed(list(behaviour.features.items())))
    other = hw.FeatureView("behaviour", transactions, "account_id", features)
    assert content_hash(other) == content_hash(behaviour)
    assert content_hash(model(features=[other])) != content_hash(model())  # the feature vector has an order
    spans = {"n": hw.count(over=["30d", "7d"])}
    assert hw.FeatureView("v", transactions, "account_id", spans) != hw.FeatureView(
        "v", transactions, "account_id", {"n": hw.count(over=["7d", "30d"])}
    )


@pytest.mark.parametrize(
    "one", [transactions, behaviour, texts, model(), policy, project, hw.count(over="1d")]
)
def test_definitions_are_values(one: Any) -> None:
    for other in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):  # noqa: S301 - our own bytes
        assert other == one
        assert hash(other) == hash(one)
        assert other is not one
    assert len({one, copy.copy(one)}) == 1


def parameters(estimator: object) -> Any:
    return compiled(model(estimator=estimator))["estimator"]


def test_estimators_are_their_class_and_parameters() -> None:
    assert parameters(Guess(share=0.25)) == {
        "class": "tests.definitions.bank.Guess",
        "params": {"share": 0.25, "seed": None},
    }
    assert parameters(LogisticRegression(C=2.0))["params"]["C"] == 2.0
    assert content_hash(model(estimator=LogisticRegression(C=2.0))) != content_hash(
        model(estimator=LogisticRegression(C=3.0))
    )


def test_estimators_inside_estimators_and_foreign_values() -> None:
    steps = parameters(make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=7)))["params"][
        "steps"
    ]
    assert [name for name, _ in steps] == ["standardscaler", "histgradientboostingclassifier"]
    assert steps[1][1]["params"]["max_iter"] == 7
    odd = parameters(Guess(share=np.float64(0.5), seed=np.array([1, 2])))  # type: ignore[arg-type]
    assert odd["params"] == {"share": 0.5, "seed": [1, 2]}
    assert parameters(Guess(share=float("nan")))["params"]["share"] == {"float": "nan"}
    assert parameters(Guess(seed=Guess))["params"]["seed"] == {  # type: ignore[arg-type]
        "name": "tests.definitions.bank.Guess"
    }
    assert parameters(Guess(seed={2, 1}))["params"]["seed"] == [1, 2]  # type: ignore[arg-type]


def test_an_estimator_without_get_params_shows_its_public_attributes() -> None:
    @dataclass
    class Bare:
        depth: int
        _cache: object = None

        def __init__(self, depth: int) -> None:
            self.depth = depth
            self._cache = object()

        def fit(self, X: object, y: object) -> None: ...

        def predict_proba(self, X: object) -> None: ...

    assert "depth" in str(parameters(Bare(3)))
    assert "object" not in str(parameters(Bare(3)))


def test_the_difference_reads_like_a_list_of_edits() -> None:
    view = hw.FeatureView(
        "behaviour",
        transactions,
        "account_id",
        {
            "n": hw.count(over=[None, "90d"]),
            "spent": hw.sum("amount", where=pl.col("direction") == "credit", over="30d", delay="1d"),
            "purposes": hw.distinct("purpose"),
        },
    )
    one = model(features=[view], estimator=Guess(share=0.75), observe=hw.every("7d"))
    care = hw.Policy("care", model=one, bands={"healthy": 0.0, "act": 0.75})
    new = hw.Project("bank", models=[one], policies=[care], lateness="3d")
    debit, credit = '[(col("direction")) == ("debit")]', '[(col("direction")) == ("credit")]'
    assert [str(change) for change in difference(compiled(project), compiled(new))] == [
        "lateness: none -> 3d",
        "models.early_warning.estimator.params.share: 0.5 -> 0.75",
        "models.early_warning.inputs: n_7d, n_30d, spent_30d, amount -> n, n_90d, spent_30d, purposes",
        "models.early_warning.observe.span: 30d -> 7d",
        "policies.care.bands.act: 0.5 -> 0.75",
        "views.behaviour.features.amount: gone, was last",
        "views.behaviour.features.n.over: 7d, 30d -> forever, 90d",
        "views.behaviour.features.purposes: new, distinct",
        "views.behaviour.features.spent.delay: 0d -> 1d",
        f"views.behaviour.features.spent.where: {debit} -> {credit}",
    ]


def test_nothing_changed() -> None:
    assert difference(compiled(project), compiled(project)) == []


def test_changes_show_what_came_and_went() -> None:
    assert difference({"a": 1}, {"b": "x"}) == [Change("a", "1", None), Change("b", None, "x")]
    assert [str(c) for c in difference({"a": 1}, {"b": "x"})] == ["a: gone, was 1", "b: new, x"]
