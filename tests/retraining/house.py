"""A registry, an audit trail and the lender's payments in a folder, and the loop on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

import headwater as hw
from headwater.models.registry import Registry
from headwater.retraining.gate import gate
from headwater.retraining.promotion import Changed, Office, promote, rollback
from headwater.retraining.report import GateReport
from headwater.retraining.rules import Rules
from headwater.retraining.run import Recipe, Retraining, retrain
from headwater.retraining.triggers import asked
from headwater.store.audit import AuditTrail
from tests.retraining.lender import day, payments, project

QUICK = Recipe(bootstrap=20)
RULES = Rules(bootstrap=100)


@dataclass
class House:
    """Everything in a folder."""

    folder: Path
    registry: Registry
    trail: AuditTrail
    events: pl.DataFrame = field(default_factory=payments)
    project: hw.Project = field(default_factory=project)

    def retrain(self, on: float, recipe: Recipe = QUICK, **changes: Any) -> Retraining:
        arguments: dict[str, Any] = {"as_of": day(on), "now": day(on), "why": asked("a test")} | changes
        return retrain(
            self.project,
            "risk",
            {"payments": self.events},
            self.registry,
            folder=self.folder,
            recipe=recipe,
            **arguments,
        )

    def gate(self, on: float, rules: Rules = RULES, **changes: Any) -> GateReport:
        return gate(
            self.project,
            "risk",
            {"payments": self.events},
            self.registry,
            as_of=day(on),
            now=day(on),
            rules=rules,
            **changes,
        )

    def office(self, on: float = 300) -> Office:
        return Office(self.registry, self.trail, self.folder, "cli:ada", day(on))

    def promote(self, **how: Any) -> Changed:
        return promote(self.office(), "risk", **how)

    def rollback(self, **how: Any) -> Changed:
        return rollback(self.office(), "risk", **how)

    def champion(self) -> int | None:
        found = [v.number for v in self.registry.versions("risk") if "champion" in v.aliases]
        return found[0] if found else None

    def acts(self) -> list[str]:
        return [entry.act.action for entry in self.trail.page(limit=1000)]
