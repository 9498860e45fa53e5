"""The canary: a declared share of the live decisions is answered by the challenger.

::

    hash(model, keys, start) ──► below the share? ──► yes: the challenger answers, no: the champion

Who is on which side depends on nothing else, so an entity stays on its side, and a larger share only adds
entities. It is noted in the registry, as a tag of the challenger's version, and is in force only while that
version is the challenger and the champion is the one beside which it was started: any change of either ends
it. Written by ``retraining.canary``; followed by ``apps.http.following``; asked by ``serving.deciding``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any, Self

from headwater.core.errors import DataError, ModelError
from headwater.core.instant import iso
from headwater.models.version import CHALLENGER, CHAMPION, Version

TAG = "headwater.canary"
_BYTES = 8  # of the hash
_ALL = 1 << (8 * _BYTES)


@dataclass(frozen=True)
class Canary:
    """A share of a model's decisions, and who answers it.

    Attributes:
        model: the model's name.
        version, digest: the challenger's number and seal.
        champion: the seal of the champion beside it.
        share: of the entities, above 0, at most 1.
        started: when the first share was declared, microseconds UTC; part of the hash.

    Example:
        >>> canary = Canary("risk", 2, "d2", "d1", 0.25, 5)
        >>> sum(canary.takes({"who": who}) for who in range(1000))
        236
    """

    model: str
    version: int
    digest: str
    champion: str
    share: float
    started: int

    def takes(self, keys: Mapping[str, Any]) -> bool:
        """Whether the challenger answers for the entity with these keys."""
        text = json.dumps([self.model, self.started, keys], sort_keys=True, default=str)
        return int.from_bytes(blake2b(text.encode(), digest_size=_BYTES).digest(), "big") < self._below

    def of(self, share: float) -> Self:
        """The same one with another share: entities only come, or only go."""
        return replace(self, share=share)

    @cached_property
    def _below(self) -> int:
        return int(self.share * _ALL)

    @property
    def percent(self) -> str:
        """The share in words.

        Example:
            >>> Canary("risk", 2, "d2", "d1", 0.05, 5).percent
            '5 %'
        """
        return f"{self.share * 100:.6g} %"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "started": iso(self.started)}

    def tag(self) -> str:
        """As it is noted with the challenger's version."""
        return json.dumps({"share": self.share, "started": self.started, "champion": self.champion})


def checked(share: float) -> float:
    """A share that can be declared.

    Raises:
        DataError: it is not above 0 and at most 1.
    """
    if 0 < share <= 1:
        return float(share)
    raise DataError.of(
        "no such share of the decisions can go to a challenger",
        expected="more than 0 %, and 100 % at most",
        got=f"{share * 100:.6g} %",
        where="share",
        do="name a share such as 5 %; to give it nothing any more, stop the canary",
    )


def canary_of(versions: Sequence[Version]) -> Canary | None:
    """The canary that is in force among a model's versions; None if there is none.

    Raises:
        ModelError: what the registry notes of it cannot be read.
    """
    champion = _named(versions, CHAMPION)
    challenger = _named(versions, CHALLENGER)
    if champion is None or challenger is None or TAG not in challenger.tags:
        return None
    noted = _read(challenger)
    return noted if noted.champion == champion.digest and champion is not challenger else None


def lapsed(versions: Sequence[Version]) -> list[Version]:
    """The versions that bear the note of a canary that is over, or one that cannot be read."""
    try:
        found = canary_of(versions)
    except ModelError:
        found = None
    return [one for one in versions if TAG in one.tags and (found is None or one.number != found.version)]


def _named(versions: Sequence[Version], alias: str) -> Version | None:
    return next((one for one in versions if alias in one.aliases), None)


def _read(version: Version) -> Canary:
    text = version.tags[TAG]
    try:
        form = json.loads(text)
        share, started, champion = float(form["share"]), int(form["started"]), str(form["champion"])
        return Canary(version.model, version.number, version.digest, champion, checked(share), started)
    except (ValueError, KeyError, TypeError, DataError):
        raise ModelError.of(
            "the note of a canary cannot be read",
            expected="JSON with the share, the start and the champion's seal",
            got=text[:80],
            where=f"{version.model} version {version.number}, tag {TAG}",
            do="stop the canary: headwater canary --stop",
        ) from None
