from __future__ import annotations

import polars as pl

import headwater as hw
from headwater.core.errors import DefinitionError
from headwater.core.instant import DAY
from tests.definitions.bank import UTC, behaviour, model, transactions
from tests.letters import says

BANDS = {"healthy": 0.0, "act": 0.5}


def test_streams_and_views_are_gathered_once() -> None:
    loans = hw.Stream("loans", {"account_id": pl.Int64, "time": UTC})
    second = model(name="second", label=hw.happens(loans, within="90d"))
    project = hw.Project("bank", models=[model(), second], lateness="3d")
    assert project.streams == (transactions, loans)
    assert project.views == (behaviour,)
    assert project.lateness == 3 * DAY


def test_one_name_one_definition() -> None:
    other = hw.Stream("transactions", {"account_id": pl.Int64, "time": UTC})
    count = {"n": hw.count()}
    views = [hw.FeatureView("behaviour", other, "account_id", count)]
    with says(
        DefinitionError,
        """
        two different definitions of one stream are called 'transactions'
          expected: one definition for each name
          got:      2 that differ
          where:    bank
          do:       rename one, or use the same object in both places
        two different definitions of one feature view are called 'behaviour'
          expected: one definition for each name
          got:      2 that differ
          where:    bank
          do:       rename one, or use the same object in both places
        two different definitions of one model are called 'early_warning'
          expected: one definition for each name
          got:      2 that differ
          where:    bank
          do:       rename one, or use the same object in both places
        """,
    ):
        hw.Project("bank", models=[model(), model(features=views)])


def test_policies_read_models_of_the_project() -> None:
    stray = hw.Policy("care", model=model(name="stray"), bands=BANDS)
    with says(
        DefinitionError,
        """
        a span of time cannot be read
          expected: a number and a unit: us, ms, s, m, h, d or w, such as '30d' or '1h30m'
          got:      'late'
          where:    bank.lateness
          do:       write the span with its unit
        a policy reads a model that is not in the project
          expected: one of the project's models
          got:      stray
          where:    bank.policies.care
          do:       add stray to models=
        """,
    ):
        hw.Project("bank", models=[model()], policies=[stray], lateness="late")


def test_a_project_needs_a_model() -> None:
    with says(
        DefinitionError,
        """
        a part of the project is something else
          expected: an hw.Model
          got:      'early_warning'
          where:    bank.models[0]
          do:       give an hw.Model
        a project needs a model
          expected: at least one hw.Model
          got:      ['early_warning']
          where:    bank.models
          do:       list it: models=[my_model]
        """,
    ):
        hw.Project("bank", models=["early_warning"])  # type: ignore[list-item]


def test_notices() -> None:
    personal = hw.FeatureView("texts", transactions, "account_id", {"last_purpose": hw.last("purpose")})
    project = hw.Project("bank", models=[model(features=[behaviour, personal])])
    assert [notice.where for notice in project.notices] == ["texts.features.last_purpose"]
