"""Promotion and rollback: one step, told before and after, and put right whenever it was cut short."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.core.errors import GateError, ModelError
from headwater.models.registry import Registry
from headwater.retraining.promotion import earlier_of, promote
from headwater.retraining.turn import turn
from tests.letters import says
from tests.retraining.house import House

WHY = "the old one is wrong"


def three(house: House) -> None:
    """Versions 1, 2 and 3, none of them champion."""
    for on in (80, 87, 94):
        house.retrain(on)


def test_what_was_not_gated_is_not_promoted(house: House) -> None:
    house.retrain(80)
    with says(
        GateError,
        """
        risk version 1 was not gated
          expected: a gate against no champion that said promote
          got:      no report of a gate
          where:    risk
          do:       gate it first: headwater gate
        """,
    ):
        house.promote()
    assert (house.champion(), house.acts()) == (None, [])


def test_to_force_needs_a_reason(house: House) -> None:
    house.retrain(80)
    with says(
        GateError,
        """
        a promotion past the gate needs a reason
          expected: --why with a sentence
          got:      none
          where:    risk version 1
          do:       say why; it is kept in the audit trail
        """,
    ):
        house.promote(force=True, why=" ")
    changed = house.promote(force=True, why=WHY)
    assert changed.words == "risk version 1 is champion now, past its gate, the first one."
    (_, last) = house.trail.page()
    assert (last.act.action, last.act.actor, last.act.target) == ("model.promote", "cli:ada", "risk")
    assert (last.act.details["why"], last.act.details["forced"]) == (WHY, True)
    assert last.act.details["digest"] == changed.champion.digest


def test_a_gate_against_an_earlier_champion_does_not_count(house: House) -> None:
    house.retrain(80)
    house.retrain(87)
    house.gate(87, which=2)
    house.promote(which=1, force=True, why=WHY)
    with pytest.raises(GateError, match="risk version 2 was gated against another champion"):
        house.promote(which=2)
    assert house.champion() == 1


def test_rollbacks_follow_each_other(house: House) -> None:
    three(house)
    for number in (1, 2, 3):
        house.promote(which=number, force=True, why=WHY)
    assert earlier_of(house.registry, "risk") == [1, 2]
    assert house.registry.version("risk", "previous").number == 2
    assert house.rollback(why="it was worse").words == (
        "risk version 2 is champion again; version 3 was taken back."
    )
    assert house.rollback().champion.number == 1
    with says(
        GateError,
        f"""
        risk has no earlier champion to go back to
          expected: a promotion that can be taken back
          got:      version 1, the first one
          where:    {house.registry.uri}
          do:       promote the version that you want: headwater promote --version N --force --why TEXT
        """,
    ):
        house.rollback()
    assert house.champion() == 1
    assert house.acts() == [
        *["model.promoting", "model.promote"] * 3,
        *["model.rolling_back", "model.rollback"] * 2,
    ]
    assert house.trail.verify().count == 10


def test_to_promote_twice_is_to_promote_once(house: House) -> None:
    house.retrain(80)
    house.promote(force=True, why=WHY)
    again = house.promote(which=1, force=True, why=WHY)
    assert not again.changed
    assert house.acts() == ["model.promoting", "model.promote"]
    assert earlier_of(house.registry, "risk") == []


class _DiesBefore(Registry):
    """The process dies before the alias moves."""

    def point(self, model: str, alias: str, number: int | None) -> None:
        if alias == "champion":
            raise KeyboardInterrupt
        super().point(model, alias, number)


class _DiesAfter(Registry):
    """The process dies just after the alias moved."""

    def point(self, model: str, alias: str, number: int | None) -> None:
        super().point(model, alias, number)
        raise KeyboardInterrupt


class _Away(Registry):
    """The registry cannot be written."""

    def point(self, model: str, alias: str, number: int | None) -> None:
        raise ModelError.of("the registry cannot be written", got=f"{model} {alias} {number}")


def cut_short(house: House, store: Path, kind: type[Registry], number: int) -> None:
    whole = house.registry
    house.registry = kind(store, whole._project)
    with pytest.raises((KeyboardInterrupt, ModelError)):
        house.promote(which=number, force=True, why=WHY)
    house.registry = whole


def test_killed_before_the_alias_moved_it_never_was(house: House, store: Path) -> None:
    three(house)
    house.promote(which=1, force=True, why=WHY)
    cut_short(house, store, _DiesBefore, 2)
    assert house.champion() == 1
    house.promote(which=3, force=True, why=WHY)
    assert house.acts()[2:] == [
        "model.promoting",
        "model.promote_undone",
        "model.promoting",
        "model.promote",
    ]
    assert earlier_of(house.registry, "risk") == [1]


def test_killed_after_the_alias_moved_it_is_brought_to_its_end(house: House, store: Path) -> None:
    three(house)
    house.promote(which=1, force=True, why=WHY)
    cut_short(house, store, _DiesAfter, 2)
    assert house.champion() == 2
    assert house.rollback().champion.number == 1
    assert house.acts()[2:] == [
        "model.promoting",
        "model.promote",
        "model.rolling_back",
        "model.rollback",
    ]
    settled = house.trail.page()[3].act
    assert settled.details["settled"] is True


def test_a_registry_that_is_away_changes_nothing(house: House, store: Path) -> None:
    house.retrain(80)
    cut_short(house, store, _Away, 1)
    assert house.champion() is None
    assert house.acts() == ["model.promoting", "model.promote_undone"]


def test_one_at_a_time(house: House) -> None:
    house.retrain(80)
    with (
        turn(house.folder, "risk", "promotion"),
        pytest.raises(GateError, match="another process is at the promotion of risk"),
    ):
        promote(house.office(), "risk", force=True, why=WHY)
