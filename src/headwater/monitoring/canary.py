"""The canary's decisions beside the champion's: how many, in which bands, and where the other would differ.

Counted from the decision records since the canary was started; what the other version would have said comes
from the shadow ledger. Called by the HTTP door and by ``headwater canary``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.core.instant import iso
from headwater.models.canary import Canary
from headwater.store.protocol import Decisions
from headwater.store.shadow import ShadowLedger, Summary


@dataclass(frozen=True)
class Side:
    """What one of the two decided.

    Attributes:
        who: ``champion`` or ``canary``.
        digest: the version's seal.
        bands: band to how many decisions.
    """

    who: str
    digest: str
    bands: Mapping[str, int]

    @property
    def decisions(self) -> int:
        """All of them."""
        return sum(self.bands.values())

    def share(self, band: str) -> float | None:
        """Of the decisions, how many had a band; None without any."""
        return self.bands.get(band, 0) / self.decisions if self.decisions else None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        bands = [{"band": name, "decisions": n, "share": self.share(name)} for name, n in self.bands.items()]
        return {"who": self.who, "digest": self.digest, "decisions": self.decisions, "bands": bands}


@dataclass(frozen=True)
class Standing:
    """A canary, and how it stands beside the champion.

    Attributes:
        canary: the canary.
        champion, answered: what each of the two decided since the start.
        compared: what the champion would have said in place of the canary, and the other way round.
    """

    canary: Canary
    champion: Side
    answered: Side
    compared: Sequence[Summary]

    def words(self) -> str:
        """A sentence or two."""
        one = self.canary
        return (
            f"{one.model} version {one.version} answers {one.percent} of the decisions;"
            f" since {iso(one.started)} {_told(self.answered)}, the champion {_told(self.champion)}."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "model": self.canary.model,
            "canary": self.canary.to_json(),
            "sides": [self.champion.to_json(), self.answered.to_json()],
            "compared": [shadow_json(one) for one in self.compared],
            "words": self.words(),
        }


def none_of(model: str) -> dict[str, Any]:
    """The same of a model without a canary."""
    words = f"{model} has no canary: the champion decides alone."
    return {"model": model, "canary": None, "sides": [], "compared": [], "words": words}


def shadow_json(one: Summary) -> dict[str, Any]:
    """A pair of the shadow ledger as it is shown: with words and times that people read."""
    return {**one.to_json(), "first": iso(one.first), "last": iso(one.last), "words": one.words()}


def standing(decisions: Decisions, shadow: ShadowLedger, canary: Canary) -> Standing:
    """How a canary stands.

    Raises:
        StoreError: the records or the ledger cannot be read.
    """
    found: dict[str, dict[str, int]] = {canary.champion: {}, canary.digest: {}}
    for digest, band, count in decisions.sides(canary.model, canary.started):
        found.setdefault(digest, {})[band] = count
    pairs = {(canary.champion, canary.digest), (canary.digest, canary.champion)}
    told = shadow.summaries(model=canary.model, since=canary.started)
    return Standing(
        canary,
        Side("champion", canary.champion, found[canary.champion]),
        Side("canary", canary.digest, found[canary.digest]),
        [one for one in told if (one.served, one.challenger) in pairs],
    )


def _told(side: Side) -> str:
    bands = ", ".join(f"{name} {count / side.decisions:.1%}" for name, count in side.bands.items())
    return f"{side.decisions:,}" + (f" ({bands})" if bands else "")
