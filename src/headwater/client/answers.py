"""What the API answers with, typed. Unknown fields are ignored: an older client reads a newer server."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Value = bool | int | float | str | None


class EventResult(msgspec.Struct, frozen=True):
    """What became of one event: ``offset`` is its place in the log, ``reason`` why it was refused."""

    outcome: Literal["accepted", "duplicate", "refused"]
    offset: int | None = None
    reason: str | None = None
    message: str | None = None


class Score(msgspec.Struct, frozen=True):
    """A score that events made fresh, as of ``time``, on the log up to ``offset``."""

    model: str
    keys: dict[str, Value]
    score: float
    band: str | None
    time: str
    offset: int
    late_seconds: float
    moved: list[str]


class Events(msgspec.Struct, frozen=True):
    """What became of some events, one result each in the order in which they were sent."""

    stream: str
    accepted: int
    duplicates: int
    refused: int
    arrival: str
    results: list[EventResult]
    scores: list[Score] | None = None
    failure: str | None = None


class Reason(msgspec.Struct, frozen=True):
    """Why a score is not lower."""

    text: str
    feature: str
    value: Value
    reference: Value
    contribution: float


class Versions(msgspec.Struct, frozen=True):
    """What a decision rested on, by content hash."""

    model: str
    definition: str
    policy: str


class Decision(msgspec.Struct, frozen=True):
    """A decision, recorded."""

    decision_id: str
    policy: str
    model: str
    keys: dict[str, Value]
    request: dict[str, Value]
    score: float
    band: str
    reasons: list[Reason]
    features: dict[str, float | None]
    time: str
    decided_at: str
    offset: int
    versions: Versions
    chain: str
    places: dict[str, int] = {}


class Difference(msgspec.Struct, frozen=True):
    """Something that came out otherwise in a replay."""

    what: str
    then: str
    now: str
    cause: Literal["data", "definition", "model", "policy"]


class Replay(msgspec.Struct, frozen=True):
    """A decision made again from the log."""

    decision_id: str
    same: bool
    events: int
    differences: list[Difference]
    score: float
    band: str


class Features(msgspec.Struct, frozen=True):
    """One view's features of one key."""

    view: str
    key: Value
    time: str
    offset: int
    features: dict[str, Any]
    places: dict[str, int] = {}


class Ready(msgspec.Struct, frozen=True):
    """The service serves."""

    status: str
    offset: int
    waiting: int


class Model(msgspec.Struct, frozen=True):
    """A model of the project; ``keys`` and ``request`` are column to type."""

    name: str
    served: bool
    digest: str | None
    definition: str
    keys: dict[str, str]
    request: dict[str, str]
    inputs: list[str]


class Models(msgspec.Struct, frozen=True):
    """The models of the project."""

    models: list[Model]


class Policy(msgspec.Struct, frozen=True):
    """A policy of the project; ``bands`` is band to lowest score."""

    name: str
    model: str
    digest: str
    bands: dict[str, float]
    reasons: dict[str, str]
    max_reasons: int


class Policies(msgspec.Struct, frozen=True):
    """The policies of the project."""

    policies: list[Policy]


class Plan(msgspec.Struct, frozen=True):
    """The project's definitions in canonical form, and their hash."""

    hash: str
    definition: dict[str, Any]


class DeadLetter(msgspec.Struct, frozen=True):
    """An event that was refused."""

    id: int
    stream: str
    arrival: str
    reason: str
    message: str
    event: str
    source: str | None = None


class DeadLetters(msgspec.Struct, frozen=True):
    """A page of refused events; ``counts`` is of all, by reason; ``next`` leads to the next page."""

    letters: list[DeadLetter]
    counts: dict[str, int]
    next: int | None = None


class Redriven(msgspec.Struct, frozen=True):
    """What came of a second chance."""

    tried: int
    taken: int
    left: int


class Reloaded(msgspec.Struct, frozen=True):
    """What is served now, and what is another one than before."""

    models: dict[str, str]
    changed: list[str]


class RegisteredVersion(msgspec.Struct, frozen=True):
    """A version in the registry; ``digest`` is the seal that decisions name it by."""

    number: int
    aliases: list[str]
    digest: str


class ChampionChanged(msgspec.Struct, frozen=True):
    """Who decides from now on; ``served`` says whether the server does so by now."""

    model: str
    champion: RegisteredVersion
    before: int | None
    forced: bool
    changed: bool
    served: bool
    words: str


class Canary(msgspec.Struct, frozen=True):
    """A share of the decisions that the challenger answers; ``answers`` says whether the server lets it."""

    model: str
    version: int
    digest: str
    champion: str
    share: float
    started: str
    answers: bool


class CanaryChanged(msgspec.Struct, frozen=True):
    """Who answers which share from now on; ``before`` is the share before."""

    model: str
    canary: Canary | None
    before: float | None
    changed: bool
    words: str


class GateCheck(msgspec.Struct, frozen=True):
    """One check of a gate; ``fail`` and ``too few`` hold the candidate."""

    family: str
    name: str
    verdict: str
    words: str
    numbers: dict[str, Any]
    bounds: dict[str, Any]


class Gate(msgspec.Struct, frozen=True):
    """What a gate found; ``report`` is the SHA-256 of its canonical form."""

    model: str
    candidate: int
    candidate_digest: str
    champion: int | None
    champion_digest: str | None
    as_of: int
    rows: int
    positives: int
    entities: int
    verdict: Literal["promote", "hold"]
    checks: list[GateCheck]
    notes: list[str]
    words: str
    report: str


class ShadowFlip(msgspec.Struct, frozen=True):
    """Decisions that would have had another band from the challenger."""

    served: str
    challenger: str
    decisions: int


class ShadowPair(msgspec.Struct, frozen=True):
    """A challenger in the shadow of a version that answered; both by their seals."""

    model: str
    served: str
    challenger: str
    decisions: int
    failed: int
    first: str
    last: str
    mean: float | None
    mean_absolute: float | None
    largest: float | None
    reasons_changed: int
    flipped: int
    flips: list[ShadowFlip]
    words: str


class Shadow(msgspec.Struct, frozen=True):
    """What challengers would have said of live decisions, the newest pair of versions first."""

    shadow: list[ShadowPair]


class CanaryBand(msgspec.Struct, frozen=True):
    """Decisions of one side that had one outcome."""

    band: str
    decisions: int
    share: float | None


class CanarySide(msgspec.Struct, frozen=True):
    """What the champion or the canary decided since the canary was started."""

    who: Literal["champion", "canary"]
    digest: str
    decisions: int
    bands: list[CanaryBand]


class CanaryStanding(msgspec.Struct, frozen=True):
    """A canary beside the champion; ``compared`` is what the one that did not answer would have said."""

    model: str
    canary: Canary | None
    sides: list[CanarySide]
    compared: list[ShadowPair]
    words: str
