"""What goes into the API and what comes out, with examples: the schemas of the OpenAPI document.

Requests are checked against these; answers are built as plain values (``answers``), for speed, and tests hold
them against these. Times are ISO 8601 with a zone.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Value = bool | int | float | str | None

_EVENT: dict[str, JsonValue] = {
    "transaction_id": 900001,
    "account_id": 42,
    "booked_at": "2026-01-31T12:00:00Z",
    "direction": "debit",
    "purpose": "cash",
    "amount": 120.0,
    "balance": 310.5,
}


class Payload(BaseModel):
    """Base of all requests: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid")


class EventsRequest(Payload):
    """Events of one stream."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"stream": "transactions", "events": [_EVENT]}]}
    )

    stream: str = Field(description="The stream's name.")
    events: list[Any] = Field(
        description="Objects with the stream's columns; a column that is left out is null. Each event is"
        " judged by itself."
    )


class EventResult(Answer):
    """What became of one event."""

    outcome: Literal["accepted", "duplicate", "refused"]
    offset: int | None = Field(
        default=None, description="Its place in the log; of a duplicate, that of the first one."
    )
    reason: str | None = Field(default=None, description="Why it was refused: a stable code.")
    message: str | None = Field(default=None, description="Why it was refused, in words.")


class Score(Answer):
    """A score that events made fresh."""

    model: str
    keys: dict[str, Value] = Field(description="The entity.")
    score: float = Field(description="The probability of the label.")
    band: str | None = Field(description="In the model's only policy; null if it has none or several.")
    time: str = Field(description="As of when: the newest event time of the entity.")
    offset: int = Field(description="The last event that touched the entity.")
    late_seconds: float = Field(description="By how much an event came late; 0 if none did.")
    moved: list[str] = Field(description="The inputs that late events changed.")


class EventsAnswer(Answer):
    """What became of the events; all of it is on disk."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "stream": "transactions",
                    "accepted": 1,
                    "duplicates": 0,
                    "refused": 0,
                    "arrival": "2026-01-31T12:00:01Z",
                    "results": [{"outcome": "accepted", "offset": 109480}],
                }
            ]
        }
    )

    stream: str
    accepted: int
    duplicates: int
    refused: int
    arrival: str = Field(description="When they were accepted.")
    results: list[EventResult] = Field(description="One for each event, in the order of the request.")
    scores: list[Score] | None = Field(default=None, description="With refresh=true: the fresh scores.")
    failure: str | None = Field(default=None, description="Why a model could not score, if one could not.")


class DecisionRequest(Payload):
    """Whom to decide on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"policy": "early_warning_policy", "keys": {"account_id": 42}, "request": {}}]
        }
    )

    policy: str | None = Field(default=None, description="May be left out if the project has one only.")
    keys: dict[str, Value] = Field(description="The entity: every key of the policy's model.")
    request: dict[str, Value] = Field(
        default_factory=dict, description="The model's request columns; derived inputs may read them."
    )
    at: str | None = Field(default=None, description="As of when; now if it is left out.")


class ReasonAnswer(Answer):
    """Why a score is not lower."""

    text: str = Field(description="What the person is told.")
    feature: str = Field(description="The input that weighs most under this text.")
    value: Value = Field(description="Of that input.")
    reference: Value = Field(description="What is usual: the median in training.")
    contribution: float = Field(description="How far the inputs under this text moved the score.")


class Versions(Answer):
    """What a decision rested on, by content: hashes."""

    model: str
    definition: str
    policy: str


class DecisionAnswer(Answer):
    """A decision; its record is on disk."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "decision_id": "d17",
                    "policy": "early_warning_policy",
                    "model": "early_warning",
                    "keys": {"account_id": 42},
                    "request": {},
                    "score": 0.41,
                    "band": "act",
                    "reasons": [
                        {
                            "text": "Much was spent in the last 10 days",
                            "feature": "spent_10d",
                            "value": 3100.0,
                            "reference": 640.0,
                            "contribution": 0.83,
                        }
                    ],
                    "features": {"spent_10d": 3100.0},
                    "time": "2026-01-31T12:00:00Z",
                    "decided_at": "2026-01-31T12:00:00Z",
                    "offset": 109480,
                    "versions": {"model": "5c…", "definition": "a1…", "policy": "77…"},
                    "chain": "09ab…",
                }
            ]
        }
    )

    decision_id: str
    policy: str
    model: str
    keys: dict[str, Value]
    request: dict[str, Value]
    score: float
    band: str
    reasons: list[ReasonAnswer]
    features: dict[str, float | None] = Field(description="The model's inputs; a category is its code.")
    time: str = Field(description="As of when the features are.")
    decided_at: str
    offset: int = Field(description="The last place in the log that the features may rest on.")
    versions: Versions
    chain: str = Field(description="The record's link in the hash chain.")
    places: dict[str, int] = Field(
        default_factory=dict,
        description="Where the log is Kafka's: each stream and partition to the last record that the features"
        " may rest on.",
    )


class Decisions(Answer):
    """A page of decisions."""

    decisions: list[DecisionAnswer]
    next: int | None = Field(description="What to give as `after` for the next page; null on the last.")


class ReplayWith(Payload):
    """What to replay with in place of a decision's own."""

    definitions: str | None = Field(
        default=None,
        max_length=64,
        description="The hash of a project or a model that was ever in force here (`GET /v1/definitions`),"
        " its first 8 digits or more, or `current`.",
    )
    model: str | None = Field(default=None, description="A version's number or alias.")
    policy: str | None = Field(
        default=None, description="A policy of the project, or the hash of one that was ever in force."
    )


class ReplayRequest(Payload):
    """With what to replay; an empty body replays it as it was made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"with": {"model": "challenger"}}, {"with": {"definitions": "64664fc40d4b436e"}}]
        }
    )

    with_: ReplayWith = Field(default_factory=ReplayWith, alias="with")


class DifferenceAnswer(Answer):
    """Something that came out otherwise, and why."""

    what: str
    then: str
    now: str
    cause: Literal["data", "definition", "model", "policy"]


class ReplayAnswer(Answer):
    """A decision made again from the log."""

    decision_id: str
    same: bool = Field(description="Whether features, score, band and reasons are the same to the bit.")
    events: int = Field(description="How many events it rested on.")
    differences: list[DifferenceAnswer]
    words: list[str] = Field(description="What differs and why, a sentence for each cause.")
    score: float
    band: str


class FeaturesAnswer(Answer):
    """One view's features of one key."""

    view: str
    key: Value
    time: str = Field(description="As of when.")
    offset: int
    features: dict[str, Value]
    places: dict[str, int] = Field(
        default_factory=dict,
        description="Where the log is Kafka's: each stream and partition to the last record that the features"
        " may rest on.",
    )


class Fact(Answer):
    """One fact about what went wrong."""

    what: str
    expected: str | None = None
    got: str | None = None
    where: str | None = None
    do: str | None = None


class ProblemAnswer(Answer):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str = Field(description="Stable: what a program should look at.")
    detail: str
    request_id: str
    problems: list[Fact]


class MonitorsHealth(Answer):
    """The process that keeps the late ledger and checks parity."""

    up: bool
    late_backlog: int = Field(description="Events that the late ledger did not look through yet.")
    parity_mismatches: int | None = Field(description="Must be 0; null before it has spoken.")


class Health(Answer):
    """Whether the process lives."""

    status: Literal["ok"]
    monitors: MonitorsHealth | None = Field(description="Null where there are none.")
    database: Literal["up", "away"] | None = Field(
        None, description="The database that servers share; null where there is none."
    )


class Readiness(Answer):
    """Whether it serves."""

    status: Literal["ready"]
    offset: int = Field(description="The last place in the log that scores rest on.")
    waiting: int = Field(description="Events that wait to be committed.")


class DeadLetterAnswer(Answer):
    """An event that was refused."""

    id: int
    stream: str
    arrival: str
    reason: str = Field(description="A stable code.")
    message: str
    event: str = Field(
        description="The event as JSON, as far as it could be read; personal values are masked."
    )
    source: str | None = Field(description="Where it came from.")


class DeadLetters(Answer):
    """A page of refused events."""

    letters: list[DeadLetterAnswer]
    counts: dict[str, int] = Field(description="All there are, by reason.")
    next: int | None = Field(description="What to give as `after` for the next page; null on the last.")


class RedriveRequest(Payload):
    """Which letters to send again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"stream": "transactions", "reason": "too-late"}]}
    )

    stream: str | None = Field(default=None, description="Only of this stream.")
    reason: str | None = Field(default=None, description="Only with this reason.")
    after: int = Field(default=0, ge=0, le=2**62, description="Only behind this id.")
    limit: int = Field(default=1_000, ge=1, le=10_000, description="How many at most.")


class Redriven(Answer):
    """What came of a second chance."""

    tried: int = Field(description="Letters that were looked at.")
    taken: int = Field(description="Events that are in the log now.")
    left: int = Field(description="Letters that stay: refused again, or masked.")


class ModelAnswer(Answer):
    """A model of the project."""

    name: str
    served: bool = Field(description="Whether a version of it was trained and is served.")
    digest: str | None = Field(description="The seal of the version that is served.")
    definition: str = Field(description="The hash of its definition.")
    keys: dict[str, str] = Field(description="Key column to its type.")
    request: dict[str, str] = Field(description="Request column to its type.")
    inputs: list[str]


class Models(Answer):
    """The models of the project."""

    models: list[ModelAnswer]


class PolicyAnswer(Answer):
    """A policy of the project."""

    name: str
    model: str
    digest: str = Field(description="The hash of its definition.")
    bands: dict[str, float] = Field(description="Band to its lowest score.")
    reasons: dict[str, str] = Field(description="Input to what the person is told.")
    max_reasons: int


class Policies(Answer):
    """The policies of the project."""

    policies: list[PolicyAnswer]


class Plan(Answer):
    """The definitions that are in force, in their canonical form."""

    hash: str
    definition: dict[str, Any]


class KeptDefinition(Answer):
    """A definition that was ever in force."""

    kind: Literal["project", "model", "policy"]
    name: str
    hash: str = Field(description="As decisions name it.")
    since: str = Field(description="When it was first in force.")
    serving: bool = Field(description="Whether it is in force now.")


class KeptDefinitions(Answer):
    """Every definition that was ever in force, in that order."""

    definitions: list[KeptDefinition]


class KeptPlan(KeptDefinition):
    """A definition that was ever in force, in its canonical form."""

    definition: dict[str, Any]


class Reloaded(Answer):
    """What is served now."""

    models: dict[str, str] = Field(description="Model to the seal of its version.")
    changed: list[str] = Field(description="What is another one than before.")


class Outcome(Answer):
    """What a decision came to."""

    score: float
    band: str


class LateDecision(Answer):
    """A decision that would have been different, had the event been known in time."""

    decision_id: str
    then: Outcome
    now: Outcome | None = Field(description="Null where its model or policy is not at hand any more.")
    features: list[str] = Field(description="The inputs that the event moved.")


class LateAnswer(Answer):
    """A late event, as one model met it."""

    offset: int
    stream: str
    arrival: str
    time: str
    late_seconds: float = Field(description="How long before the newest event of its entity it happened.")
    model: str
    keys: dict[str, Value]
    moved: list[str] = Field(description="The inputs that it changed.")
    decisions: list[LateDecision]


class LatePage(Answer):
    """A page of late events."""

    events: list[LateAnswer]
    next: int | None = Field(description="What to give as `after` for the next page; null on the last.")


class MovedAnswer(Answer):
    """An input that moved a score."""

    feature: str
    before: Value
    after: Value
    change: float = Field(description="Of its contribution to the score.")


class MomentAnswer(Answer):
    """The score after an event."""

    offset: int
    stream: str
    arrival: str
    event_time: str
    late_seconds: float
    keys: dict[str, Value]
    time: str
    score: float
    band: str | None
    before: float | None = Field(description="The score after the event before; null for the first.")
    moved: list[MovedAnswer]


class TimelineAnswer(Answer):
    """A page of an entity's scores."""

    model: str
    moments: list[MomentAnswer]
    next: int | None = Field(description="What to give as `after` for the next page; null on the last.")


class BacktestRequest(Payload):
    """What to compare past decisions with, and which of them."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"with": {"model": "challenger"}, "from": "2026-01-01T00:00:00Z"}]}
    )

    of: str | None = Field(default=None, description="Which model; the only one if left out.")
    with_: ReplayWith = Field(default_factory=ReplayWith, alias="with")
    key: str | None = Field(default=None, description="Only about the entity with this key.")
    band: str | None = Field(default=None, description="Only those with this outcome.")
    since: str | None = Field(default=None, alias="from", description="Only those decided from this time on.")
    until: str | None = Field(default=None, alias="to", description="Only those decided before this time.")


class Transition(Answer):
    """How many decisions went from one band to another; those that stayed are counted too."""

    then: str
    now: str
    count: int


class ChangedAnswer(Answer):
    """A decision that would have another band."""

    decision_id: str
    time: str
    then: Outcome
    now: Outcome
    cause: Literal["data", "definition", "model", "policy"]
    reasons: list[str] = Field(description="What would be told, the strongest first.")


class BacktestResult(Answer):
    """What came of a backtest."""

    total: int
    compared: int
    same: int = Field(description="To the bit.")
    moved: int = Field(description="With another score, feature or reason, but the same band.")
    changed: int = Field(description="With another band.")
    transitions: list[Transition]
    causes: dict[str, int] = Field(description="Of the changed ones, by what changed them.")
    reasons: dict[str, int] = Field(description="Of the changed ones, by the strongest reason.")
    data: int = Field(description="How many differ in a way that no exchange explains: an alarm.")
    examples: list[ChangedAnswer]


class BacktestAnswer(Answer):
    """A backtest, and how far it is."""

    id: str
    state: Literal["waiting", "running", "done", "stopped", "failed"]
    done: int
    total: int
    result: BacktestResult | None = None
    failure: str | None = None


class JobRequest(Payload):
    """Why a job is to run now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"why": "The import of today is through."}]})

    why: str | None = Field(default=None, max_length=2_000, description="Kept with the run.")


class JobAnswer(Answer):
    """A run of a job."""

    id: str
    job: str = Field(description="Its kind, and of what: `drift.early_warning`.")
    due: str = Field(description="The moment that it is for.")
    state: Literal["waiting", "running", "interrupted", "done", "refused", "failed"] = Field(
        description="`interrupted`: its process died, and it goes on; `refused`: the data does not allow it; "
        "`failed`: it may be tried again."
    )
    why: str
    asked_by: str | None = Field(description="Null where the time or a trigger did.")
    planned: str
    attempt: int
    started: str | None
    ended: str | None
    again: str | None = Field(description="When it is tried again.")
    outcome: dict[str, Any] = Field(description="What came of it, by the kind of job.")
    letter: list[Fact] = Field(description="Why it was refused, or what failed.")


class TimedJob(Answer):
    """A job of the project."""

    job: str
    kind: str
    model: str | None
    meaning: str
    every: str | None = Field(description="How often it is due; null: when it is asked for.")
    triggers: bool = Field(description="Whether it is due for what watching found, too.")
    next: str | None = Field(description="When it is due next by the clock.")
    last: JobAnswer | None


class TimedJobs(Answer):
    """The jobs of the project."""

    on: bool = Field(description="Whether this server runs them by itself.")
    jobs: list[TimedJob]
