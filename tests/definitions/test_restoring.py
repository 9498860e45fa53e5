"""Definitions come back from their canonical form: the same hashes, the same order, and no program is run."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import headwater as hw
from headwater.core.errors import DefinitionError
from headwater.definitions.compile import Remembered, canonical_json, compiled, content_hash
from headwater.definitions.restoring import _dtype, restored_model, restored_policy, restored_project
from headwater.definitions.view import view_hash
from tests.definitions import bank
from tests.letters import says
from tests.serving import bank as serving_bank

CLOCK = pl.Datetime("us", "UTC")


def kept(definition: object) -> Any:
    """A definition as it lies in a file."""
    return json.loads(canonical_json(definition))


def everything() -> hw.Project:
    """A project with each kind of part, in an order that is nobody's alphabet."""
    trades = hw.Stream(
        "trades",
        {
            "id": pl.String,
            "zone": pl.Categorical,
            "who": pl.UInt32,
            "at": pl.Datetime("ms", "Europe/Berlin"),
            "due": pl.Date,
            "price": pl.Float32,
            "side": pl.Enum(["sell", "buy's", 'b"']),
            "fraud": pl.Boolean,
        },
        id="id",
        time="at",
        personal=["zone", "who"],
    )
    view = hw.FeatureView(
        "z_first",
        trades,
        "who",
        {
            "z": hw.sum("price", where=pl.col("side").is_in(["sell", 'b"']), over=["30d", None, "7d"]),
            "due": hw.last("due"),
            "a": hw.quantile(pl.col("price").log1p(), q=0.9, over="12h", delay="90m"),
            "side": hw.last("side"),
            "b": hw.decayed_sum("price", half_life="36h"),
        },
    )
    other = hw.FeatureView("a_second", trades, "zone", {"n": hw.count(over="1d"), "m": hw.since_last()})
    model = hw.Model(
        "risk",
        features=[view, other],
        label=hw.outcome("fraud", known_after="7d"),
        observe=hw.each(trades, pl.col("price") > 0.1),
        estimator=HistGradientBoostingClassifier(max_iter=3, random_state=1),
        derived={
            "y": (pl.col("due") - pl.lit(date(2026, 1, 1))).dt.total_days(),
            "x": pl.when(pl.col("price").is_null()).then(0.1).otherwise(pl.col("price") / pl.col("z_7d")),
            "w": pl.col("at").dt.hour(),
        },
        request=["price", "at"],
        retrain=hw.rolling(every="7d", window="90d"),
    )
    plain = hw.Model(
        "again", [other], hw.happens(trades, pl.col("fraud"), within="3d", delay="1d"), hw.every("2d"),
        LogisticRegression(C=0.3),
    )  # fmt: skip
    policies = [
        hw.Policy(
            "z", model, {"wait": 0.0, "act": 0.125, "block": 1 / 3}, {"z_7d": "Much", "n_1d": "Much"}, 2
        ),
        hw.Policy("a", plain, {"wait": 0.0}),
    ]
    return hw.Project("desk", [model, plain], policies, lateness="3d")


PROJECTS = {
    "everything": everything(),
    "definitions": bank.project,
    "texts": hw.Project("texts", [bank.model(features=[bank.texts])]),
    "serving": serving_bank.PROJECT,
}


@pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS)
def test_a_project_comes_back(project: hw.Project) -> None:
    again = restored_project(kept(project))
    assert content_hash(again) == content_hash(project)
    assert again == project
    models = {model.name: model for model in project.models}
    for model in again.models:
        first = models[model.name]
        assert model.inputs == first.inputs
        assert model.keys == first.keys
        assert content_hash(model) == content_hash(first)
        assert {name: model.columns[name] for name in first.columns} == dict(first.columns)
    for policy in again.policies:
        first_policy = next(one for one in project.policies if one.name == policy.name)
        assert list(policy.bands.items()) == list(first_policy.bands.items())


@pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS)
def test_models_and_policies_come_back_alone(project: hw.Project) -> None:
    models = {}
    for model in project.models:
        models[model.name] = again = restored_model(kept(model))
        assert again == model
        assert [view_hash(view) for view in again.features if "due" not in view.features] == [
            view_hash(view) for view in model.features if "due" not in view.features
        ]
    for policy in project.policies:
        assert restored_policy(kept(policy), models[policy.model.name]) == policy


def test_what_came_back_is_not_trained() -> None:
    model = restored_model(kept(serving_bank.RISK))
    with says(
        DefinitionError,
        """
        a definition that was kept for replay cannot be trained
          expected: a project file, whose estimator is an object
          got:      sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier
          do:       train from the project file
        """,
    ):
        model.estimator.fit([[1.0]], [1])
    assert compiled(Holder(model.estimator).model()) == compiled(serving_bank.RISK)


class Holder:
    """A remembered estimator in a definition of today's file."""

    def __init__(self, estimator: Remembered) -> None:
        self.estimator = estimator

    def model(self) -> hw.Model:
        return serving_bank.model(estimator=self.estimator)


DTYPES = [
    pl.Int8(), pl.UInt64(), pl.Float32(), pl.Boolean(), pl.String(), pl.Categorical(), pl.Date(),
    pl.Enum([]), pl.Enum(["it's", 'a "b"', "ü", "\n"]), pl.Datetime("ns", "Asia/Kathmandu"),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_data_types_come_back(dtype: pl.DataType) -> None:
    stream = hw.Stream("s", {"x": dtype, "time": CLOCK})
    assert _dtype(kept(stream)["schema"]["x"]) == dtype


@pytest.mark.parametrize("text", ["Int65", "__import__('os')", "Datetime(open('x'))", "Enum(f())", "1", ""])
def test_what_is_no_data_type(text: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        _dtype(text)


def damaged(change: str) -> Any:
    form = kept(serving_bank.RISK)
    match change:
        case "kind":
            form["kind"] = "policy"
        case "dtype":
            form["features"][0]["stream"]["schema"]["amount"] = "open('x')"
        case "column":
            form["features"][0]["features"]["spent"]["column"]["expr"] = {"Column": "nothing"}
        case "part":
            del form["label"]
        case "inputs":
            form["inputs"].append("more")
        case "text":
            form["features"][0]["features"]["spent"]["column"]["expr"] = {"Nonsense": []}
    return form


@pytest.mark.parametrize("change", ["kind", "dtype", "column", "part", "inputs", "text"])
def test_a_damaged_form_is_refused(change: str) -> None:
    with pytest.raises(DefinitionError, match="a kept definition cannot be read back"):
        restored_model(damaged(change))


def test_a_refusal_in_full() -> None:
    with says(
        DefinitionError,
        f"""
        a kept definition cannot be read back
          expected: a model
          got:      'policy', with Polars {pl.__version__}
          where:    risk
          do:       use the versions of Headwater and Polars that kept it, or the project file of that time
        """,
    ):
        restored_model(damaged("kind"))


def test_a_program_in_an_expression_is_not_even_read(tmp_path: Any) -> None:
    """A form that anybody could have written: Polars would unpickle the function in it."""
    mark = tmp_path / "mark"

    class Trap:
        def __reduce__(self) -> Any:
            return mark.touch, ()

    trapped = pl.col("amount").map_elements(lambda _: Trap(), return_dtype=pl.Float64)
    tree = json.loads(trapped.meta.serialize(format="json"))
    form = kept(serving_bank.RISK)
    form["features"][0]["features"]["spent"]["column"]["expr"] = tree
    with pytest.raises(DefinitionError, match="holds a program"):
        restored_model(form)
    assert not mark.exists()
