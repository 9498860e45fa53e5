"""What goes into the routes of the loop and what comes out: promotion, rollback, the gate's report.

Beside ``payloads``, with the same bases. Called by ``routes.loop``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from headwater.apps.http.payloads import Answer, Payload

_LONGEST_WHY = 2_000
_LONGEST_NAME = 200

Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Alias = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)]


class PromoteRequest(Payload):
    """Which version is to decide; an empty body names the challenger."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"version": "challenger"},
                {"version": 3, "force": True, "why": "version 2 reads a column that is gone"},
            ]
        }
    )

    version: Number | Alias | None = Field(
        default=None, description="Its number or alias; the challenger if it is left out."
    )
    force: bool = Field(default=False, description="Past its gate; needs a reason.")
    why: str | None = Field(
        default=None, max_length=_LONGEST_WHY, description="The reason, kept in the audit trail."
    )


class RollbackRequest(Payload):
    """Why the earlier champion comes back; the body may be empty."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"why": "complaints about the new version"}]})

    why: str | None = Field(
        default=None, max_length=_LONGEST_WHY, description="The reason, kept in the audit trail."
    )


class RegisteredVersion(Answer):
    """A version in the registry."""

    number: int
    aliases: list[str]
    digest: str = Field(description="The seal of its artifact, as decisions name it.")


class ChampionChanged(Answer):
    """Who decides from now on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "early_warning",
                    "champion": {"number": 3, "aliases": ["champion"], "digest": "64664fc40d4b436e"},
                    "before": 2,
                    "forced": False,
                    "changed": True,
                    "served": True,
                    "words": "early_warning version 3 is champion now; before it was version 2.",
                }
            ]
        }
    )

    model: str
    champion: RegisteredVersion
    before: int | None = Field(description="The champion before; null where there was none.")
    forced: bool = Field(description="Whether it went past its gate.")
    changed: bool = Field(description="False where it was so already.")
    served: bool = Field(description="Whether this server decides with it by now.")
    words: str


class GateCheck(Answer):
    """One check of a gate."""

    family: str
    name: str
    verdict: str = Field(description="`fail` and `too few` hold the candidate.")
    words: str
    numbers: dict[str, Any] = Field(description="What was measured.")
    bounds: dict[str, Any] = Field(description="What it was held against.")


class GateAnswer(Answer):
    """What a gate found, as it is kept with the candidate."""

    model: str
    candidate: int = Field(description="The version's number.")
    candidate_digest: str
    champion: int | None = Field(description="Null where there was none.")
    champion_digest: str | None
    as_of: int = Field(description="What had arrived by then counted, microseconds UTC.")
    rows: int = Field(description="Of the matured outcomes that both were judged on.")
    positives: int
    entities: int
    start: int = Field(description="When these rows were observed, microseconds UTC; 0 where there are none.")
    stop: int
    asked: dict[str, str] = Field(description="Who answered for each side.")
    verdict: Literal["promote", "hold"]
    checks: list[GateCheck]
    notes: list[str]
    words: str = Field(description="All of it in words.")
    report: str = Field(description="SHA-256 of the report's canonical JSON.")


class ShadowFlip(Answer):
    """Decisions that would have had another band."""

    served: str = Field(description="The band that was answered.")
    challenger: str = Field(description="The band that the challenger would have given.")
    decisions: int


class ShadowPair(Answer):
    """A challenger in the shadow of a version that answered."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "early_warning",
                    "served": "64664fc40d4b436e",
                    "challenger": "086be1443cbe31a6",
                    "decisions": 1200,
                    "failed": 0,
                    "first": "2026-01-31T12:00:00Z",
                    "last": "2026-02-01T12:00:00Z",
                    "mean": 0.004,
                    "mean_absolute": 0.011,
                    "largest": 0.21,
                    "reasons_changed": 31,
                    "flipped": 7,
                    "flips": [{"served": "watch", "challenger": "act", "decisions": 7}],
                    "words": "On 1,200 live decisions the challenger's score is +0.0040 apart on average ...",
                }
            ]
        }
    )

    model: str
    served: str = Field(description="The seal of the version that answered.")
    challenger: str = Field(description="The seal of the one that did not.")
    decisions: int = Field(description="That both scored.")
    failed: int = Field(description="That the challenger could not score.")
    first: str
    last: str
    mean: float | None = Field(description="Of the challenger's score less the one that was served.")
    mean_absolute: float | None
    largest: float | None = Field(description="Absolute.")
    reasons_changed: int = Field(description="With another first reason.")
    flipped: int = Field(description="With another band.")
    flips: list[ShadowFlip]
    words: str


class ShadowAnswer(Answer):
    """What challengers would have said."""

    shadow: list[ShadowPair]
