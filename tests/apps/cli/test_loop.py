"""The loop on the command line: retrain, gate, promote, roll back; and what they say when it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.apps.cli.conftest import Headwater
from tests.retraining.lender import write_place


@pytest.fixture
def lender(place: Path, headwater: Headwater) -> Path:
    write_place(place, days=100)
    assert headwater("import", "payments.csv").code == 0
    return place


def test_from_nothing_to_a_champion_and_back(lender: Path, headwater: Headwater) -> None:
    assert lender.is_dir()
    first = headwater("retrain", "--as-of", "2026-03-20", "--why", "the first one", "--json").json
    assert (first["found"], first["version"]["aliases"], first["why"]) == (
        False,
        ["challenger"],
        "the first one",
    )
    again = headwater("retrain", "risk", "--as-of", "2026-03-20")
    assert again.out.startswith(
        "risk, version 1 (challenger), was trained as of 2026-03-20T00:00:00Z already; nothing was done.\n"
    )
    headwater("promote").fails(
        10,
        """
        risk version 1 was not gated
          expected: a gate against no champion that said promote
          got:      no report of a gate
          where:    risk
          do:       gate it first: headwater gate
        """,
    )
    gated = headwater("gate", "--as-of", "2026-03-20")
    assert gated.code == 0
    assert "with no champion yet: promote." in gated.out
    assert "There is no champion yet" in gated.err
    assert headwater("promote").out.startswith("risk version 1 is champion now, the first one.\n")

    second = headwater("retrain").out
    assert "Registered as risk, version 2 (challenger)." in second
    (lender / "strict.json").write_text('{"least_rows": 100000}', encoding="utf-8")
    held = headwater("gate", "--rules", "strict.json", "--json")
    assert held.code == 10
    assert (held.json["verdict"], held.json["checks"][0]["verdict"]) == ("hold", "too few")
    assert headwater("promote").code == 10
    assert headwater("gate").code == 0
    promoted = headwater("promote", "--json").json
    assert (promoted["champion"]["number"], promoted["before"], promoted["forced"]) == (2, 1, False)
    back = headwater("rollback", "--why", "it was worse", "--json").json
    assert back["champion"]["number"] == 1
    trail = headwater("audit", "trail", "--action", "model", "--json").json["entries"]
    assert [entry["action"] for entry in trail[:2]] == ["model.rollback", "model.rolling_back"]
    assert trail[0]["details"]["why"] == "it was worse"


def test_without_a_challenger(lender: Path, headwater: Headwater) -> None:
    ended = headwater("gate")
    assert ended.code == 6
    assert ended.err.startswith("the model 'risk' has no such version\n  expected: a trained model\n")
    assert lender.is_dir()


def test_rules_that_are_no_json(lender: Path, headwater: Headwater) -> None:
    (lender / "rules.json").write_text("{", encoding="utf-8")
    ended = headwater("gate", "--rules", "rules.json")
    assert ended.code == 4
    assert ended.err.startswith("the rules are no JSON\n")
