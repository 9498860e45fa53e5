"""The model card: from a registry that training, retraining and gate have filled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headwater.definitions.finding import find_model, find_policy
from headwater.models.registry import Registry
from headwater.paper.html import page
from headwater.store.audit import AuditTrail
from headwater.training.card_kept import PAGE, TEXT, card_of
from headwater.training.train import Plan, train
from tests.paper.reading import Read
from tests.retraining.house import House
from tests.retraining.lender import day


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A champion, and a challenger that was gated against it."""
    folder = tmp_path_factory.mktemp("card")
    with AuditTrail.open(folder / "access.db") as trail:
        made = House(folder, Registry(folder, "lender"), trail)
        train(
            made.project,
            "risk",
            {"payments": made.events},
            made.registry,
            now=day(100),
            plan=Plan(known_by=day(100), bootstrap=20),
        )
        made.retrain(150)
        made.gate(155)
        yield made


def _card(house: House, which: int | str) -> Read:
    model = find_model(house.project, "risk")
    return Read(page(card_of(house.registry, model, find_policy(house.project, model), which)))


def test_a_card_says_what_is_known(house: House) -> None:
    read = _card(house, 2)
    read.asks_for_nothing()
    read.can_be_used_by_everybody()
    version = house.registry.version("risk", 2)
    artifact = house.registry.load("risk", 2)
    assert "Gives the probability that “bad” comes true, as is known 7d after the event." in read.text
    for text in (
        version.digest,
        version.definition_hash,
        version.run,
        str(artifact.manifest["digest"]),
        f"{artifact.manifest['sources']['payments']['last']:,}",
        f"{artifact.metrics['roc_auc']:.4f}",
        "amount",
        "a test",
        "against version 1",
    ):
        assert text in read.text, text
    labels = [str(svg["aria-label"]) for svg in read.attributes("svg")]
    assert [label.partition(":")[0] for label in labels] == [
        "Curve",
        "Bars",
        "Gains of the candidate over the champion",
    ]


def test_a_card_says_what_is_missing(house: House) -> None:
    text = _card(house, 1).text
    assert "It was not gated: headwater gate." in text
    assert "Nothing was judged by slices: a gate against a champion does that." in text
    assert "It was not gated, so fairness was not looked at." in text
    assert "No attribute is declared protected." in text


@pytest.mark.parametrize("which", [1, 2])
def test_the_same_card_is_kept_with_the_run(house: House, which: int) -> None:
    version = house.registry.version("risk", which)
    kept = house.registry.kept(version, PAGE).read_text(encoding="utf-8")
    model = find_model(house.project, "risk")
    assert kept == page(card_of(house.registry, model, find_policy(house.project, model), which))
    assert house.registry.kept(version, TEXT).read_text(encoding="utf-8").startswith("# Model card: risk\n")
