"""The canary's life in registry and audit trail: declared, changed, stopped, ended by others, cut short."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.core.errors import DataError, GateError, ModelError
from headwater.models.canary import TAG, canary_of
from headwater.models.registry import Registry
from headwater.retraining.canary import declare, in_force, settle_in_turn, stop
from headwater.retraining.office import Office
from headwater.retraining.promotion import EARLIER, promote, rollback
from headwater.retraining.turn import turn
from headwater.store.audit import AuditTrail
from tests.http.registered import registry_of
from tests.letters import says
from tests.serving.bank import RISK, model


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Three versions; to make it takes seconds."""
    return registry_of(3)


@pytest.fixture
def office(registry: Registry, tmp_path: Path) -> Iterator[Office]:
    """The first version is champion, the last challenger, and nothing was ever done."""
    registry.point("risk", "challenger", 3)
    registry.point("risk", "champion", 1)
    registry.point("risk", "previous", None)
    registry.say("risk", EARLIER, "[]")
    for version in registry.versions("risk"):
        if TAG in version.tags:
            registry.mark(version, TAG, None)
    with AuditTrail.open(tmp_path / "access.db") as trail:
        yield Office(registry, trail, tmp_path, "cli:ada", 1_000_000)


def acts(office: Office) -> list[tuple[str, Any]]:
    """Actions on canaries, each with its share or with why it ended."""
    found = [act for act in office.acts("risk") if act.action.startswith("model.canary")]
    return [(act.action, act.details.get("because", act.details["share"])) for act in found]


def test_declared_changed_and_stopped(office: Office) -> None:
    first = declare(office, RISK, 0.05, why="one in 20")
    assert first.words == "risk version 3 answers 5 % of the decisions from now on; version 1 the others."
    assert first.canary == canary_of(office.registry.versions("risk"))
    later = replace(office, now=2_000_000)
    again = declare(later, RISK, 0.05)
    assert (again.words, again.changed) == (
        "risk version 3 answers 5 % of the decisions already; nothing was changed.",
        False,
    )
    more = declare(later, RISK, 0.1)
    assert more.words == "risk version 3 answers 10 % of the decisions from now on; before it was 5 %."
    assert more.canary is not None
    assert first.canary is not None
    assert (more.canary.started, more.before) == (first.canary.started, 0.05)  # entities only come
    ended = stop(later, "risk", why="enough seen")
    assert (ended.words, ended.canary, ended.before) == (
        "The canary of risk is over; the champion decides alone.",
        None,
        0.1,
    )
    assert stop(later, "risk").words == "risk has no canary; nothing was changed."
    assert (in_force(later, "risk"), acts(office)) == (
        None,
        [("model.canary", 0.05), ("model.canary", 0.1), ("model.canary_end", "it was stopped")],
    )
    told = [act.details for act in office.acts("risk")]
    assert (told[0]["why"], told[0]["version"], told[0]["before"], told[0]["gate"]) == (
        "one in 20",
        3,
        None,
        None,
    )
    assert (told[2]["why"], {act.actor for act in office.acts("risk")}) == ("enough seen", {"cli:ada"})
    fresh = declare(later, RISK, 0.05).canary
    assert fresh is not None
    assert fresh.started == 2_000_000  # a new draw


def test_what_is_refused(office: Office) -> None:
    with pytest.raises(DataError, match="no such share"):
        declare(office, RISK, 0.0)
    with pytest.raises(ModelError, match="was trained from another definition"):
        declare(office, model(observe=hw.every("1d")), 0.05)
    with turn(office.folder, "risk", "promotion"), pytest.raises(GateError, match="another process is at"):
        declare(office, RISK, 0.05)
    office.registry.point("risk", "challenger", None)
    with says(
        ModelError,
        f"""
        risk has no challenger
          expected: a champion, and a challenger that answers a share of its decisions
          got:      3, 2, 1 (champion)
          where:    {office.registry.uri}
          do:       train a challenger: headwater retrain
        """,
    ):
        declare(office, RISK, 0.05)
    office.registry.point("risk", "champion", None)
    with pytest.raises(ModelError, match="risk has no champion"):
        declare(office, RISK, 0.05)
    assert (acts(office), canary_of(office.registry.versions("risk"))) == ([], None)


def test_a_damaged_challenger_is_refused(office: Office) -> None:
    folder = Path(office.registry.version("risk", 3).location.removeprefix("file://")) / "headwater"
    file = max(folder.iterdir(), key=lambda one: one.stat().st_size)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"x")
    with pytest.raises(ModelError, match=file.name):
        declare(office, RISK, 0.05)
    file.write_bytes(whole)
    assert acts(office) == []


@pytest.mark.parametrize(
    ("how", "because"),
    [
        (lambda office: promote(office, "risk", force=True, why="x"), "it is the champion now"),
        (lambda office: promote(office, "risk", 2, force=True, why="x"), "the champion is another one"),
    ],
)
def test_a_promotion_ends_it(office: Office, how: Any, because: str) -> None:
    declare(office, RISK, 0.5)
    how(office)
    assert acts(office) == [("model.canary", 0.5), ("model.canary_end", because)]
    assert all(TAG not in one.tags for one in office.registry.versions("risk"))
    assert not settle_in_turn(office, "risk")  # it stands there once


def test_a_rollback_ends_it(office: Office) -> None:
    promote(office, "risk", 2, force=True, why="x")
    declare(office, RISK, 0.5)
    rollback(office, "risk")
    assert acts(office)[-1] == ("model.canary_end", "the champion is another one")
    promote(office, "risk", 2, force=True, why="x")
    assert in_force(office, "risk") is None  # the same two stand there again: it does not come back


def test_another_challenger_ends_it(office: Office) -> None:
    declare(office, RISK, 0.5)
    office.registry.point("risk", "challenger", 2)  # as a training does it
    assert canary_of(office.registry.versions("risk")) is None
    assert settle_in_turn(office, "risk")
    assert acts(office)[-1] == ("model.canary_end", "the challenger is another one")
    office.registry.point("risk", "challenger", 3)
    assert in_force(office, "risk") is None


def test_what_was_cut_short_or_done_past_us_is_written_down(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the entry and the note; then the note set, and taken away, in MLflow's own way."""
    declare(office, RISK, 0.1)
    with monkeypatch.context() as patched:
        patched.setattr(Registry, "mark", _killed)
        with pytest.raises(KeyboardInterrupt):
            declare(office, RISK, 0.2)
    found = in_force(office, "risk")
    assert found is not None
    assert (found.share, acts(office)[1:]) == (0.1, [("model.canary", 0.2), ("model.canary_undone", 0.1)])
    three = office.registry.version("risk", 3)
    office.registry.mark(three, TAG, None)
    assert settle_in_turn(office, "risk")
    assert acts(office)[-1] == ("model.canary_end", "its note in the registry is gone")
    office.registry.mark(three, TAG, found.tag())
    assert settle_in_turn(office, "risk")
    assert acts(office)[-1] == ("model.canary", 0.1)
    office.registry.mark(three, TAG, "{")
    assert in_force(office, "risk") is None
    assert acts(office)[-1] == ("model.canary_end", "its note in the registry is gone")


def _killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_registry_that_cannot_be_written(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise ModelError.of("the registry cannot be written")

    with monkeypatch.context() as patched:
        patched.setattr(Registry, "mark", away)
        with pytest.raises(ModelError, match="cannot be written"):
            declare(office, RISK, 0.2)
    assert acts(office) == [("model.canary", 0.2), ("model.canary_undone", None)]
    assert not settle_in_turn(office, "risk")
