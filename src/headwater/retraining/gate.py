"""The gate: a candidate against the champion, check by check, with a verdict that is kept beside it.

Nothing is promoted here: the verdict is ``promote`` or ``hold``, and ``promotion`` acts on it. Too few
outcomes hold. Without a champion the candidate is held against absolute bounds. The report is kept with the
candidate's run in MLflow, in words and as canonical JSON, and its digest is a tag of the version. Called by
jobs and ``headwater gate``; read ``evidence`` for what is looked at, ``checks`` for how.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from headwater.core.instant import iso
from headwater.definitions.finding import find_model, find_policy
from headwater.definitions.policy import Policy
from headwater.definitions.project import Project
from headwater.models.registry import CHALLENGER, Registry, Version
from headwater.retraining.checks import fair, latency, outcomes, slices, stability
from headwater.retraining.checks import shadow as shadowed
from headwater.retraining.checks.latency import Ticks
from headwater.retraining.evidence import Evidence, collect, describe
from headwater.retraining.report import Check, GateReport
from headwater.retraining.rules import Rules
from headwater.store.shadow import Summary
from headwater.training.card_kept import keep_card
from headwater.training.history import Events

STAGES = ("evidence", "outcomes", "slices", "fairness", "stability", "latency", "report")
VERDICT, REPORT, AGAINST, GATED = (
    "headwater.gate",
    "headwater.gate_report",
    "headwater.gate_against",
    "headwater.gate_as_of",
)
NOBODY = "nobody"

Progress = Callable[[str, int, int], None]
Shadow = Callable[[str], Sequence[Summary]]


def gate(
    project: Project,
    model_name: str | None,
    events: Events,
    registry: Registry,
    *,
    as_of: int,
    now: int,
    which: str | int = CHALLENGER,
    rules: Rules | None = None,
    ticks: Ticks | None = None,
    progress: Progress | None = None,
    keep: bool = True,
    shadow: Shadow | None = None,
) -> GateReport:
    """Hold a candidate against the champion.

    Args:
        project: the definitions.
        model_name: which of its models; None if it has only one.
        events: a log, or a mapping from stream name to a batch or a frame.
        registry: where both are, and where the report is kept.
        as_of: outcomes that were known by then count, microseconds UTC.
        now: microseconds UTC, stamped on what is kept.
        which: the candidate's number or alias.
        rules: what is demanded.
        ticks: nanoseconds that only rise, for the latency; None leaves it out.
        progress: called with the stage, how many are done, and how many there are.
        keep: False keeps nothing, so that a promotion will not find it.
        shadow: what the shadow ledger says of a candidate, by its seal; None leaves it out.

    Raises:
        ModelError: there is no such version, it is damaged, or of another definition.
        GateError: the candidate is the champion already.
        DataError: the costs do not fit the policy.
    """
    model, how, tell = find_model(project, model_name), rules or Rules(), progress or _silent
    tell(STAGES[0], 0, len(STAGES))
    policy = find_policy(project, model)
    evidence = collect(model, policy, events, registry, as_of=as_of, which=which, rules=how)
    found: list[Check] = []
    for place, (stage, family) in enumerate(_FAMILIES.items(), start=1):
        tell(stage, place, len(STAGES))
        found += family(evidence, how, found, ticks)
    if shadow is not None:
        digest, incumbent = evidence.candidate.version.digest, evidence.incumbent
        told = shadow(digest)
        found += shadowed.checks(told, digest, None if incumbent is None else incumbent.digest)
    report = _report(evidence, tuple(found))
    if keep:
        tell(STAGES[-1], len(STAGES) - 1, len(STAGES))
        _keep(registry, evidence, policy, report, now)
    tell(STAGES[-1], len(STAGES), len(STAGES))
    return report


_Family = Callable[[Evidence, Rules, Sequence[Check], Ticks | None], Iterator[Check]]
_FAMILIES: Mapping[str, _Family] = {
    "outcomes": lambda evidence, rules, _found, _ticks: outcomes.checks(evidence, rules),
    "slices": lambda evidence, rules, _found, _ticks: slices.checks(evidence, rules),
    "fairness": lambda evidence, rules, _found, _ticks: fair.checks(evidence, rules),
    "stability": lambda evidence, rules, found, _ticks: stability.checks(
        evidence, rules, better=outcomes.surely_better(found)
    ),
    "latency": lambda evidence, rules, _found, ticks: latency.checks(evidence, rules, ticks),
}


def _report(evidence: Evidence, checks: tuple[Check, ...]) -> GateReport:
    version, incumbent = evidence.candidate.version, evidence.incumbent
    return GateReport(
        model=evidence.model.name,
        candidate=version.number,
        candidate_digest=version.digest,
        champion=None if incumbent is None else incumbent.number,
        champion_digest=None if incumbent is None else incumbent.digest,
        as_of=evidence.as_of,
        asked=evidence.asked,
        checks=checks,
        notes=evidence.notes,
        **describe(evidence),
    )


def _keep(
    registry: Registry, evidence: Evidence, policy: Policy | None, report: GateReport, now: int
) -> None:
    """The report first, the tags that name it last: a tag never names a report that is not there."""
    version = evidence.candidate.version
    name = place_of(report.as_of)
    texts = {f"{name}.json": report.canonical() + "\n", f"{name}.txt": report.words() + "\n"}
    registry.keep(version, texts, dict(_figures(report)), now=now)
    registry.note(version, tags_of(report, version))
    gated = registry.version(version.model, version.number)
    keep_card(registry, evidence.model, policy, gated, now=now)


def place_of(as_of: int) -> str:
    """Where the report of a moment lies among what is kept with a run, without its ending."""
    return f"gate/{iso(as_of).replace(':', '')}"


def tags_of(report: GateReport, version: Version) -> dict[str, str]:
    """What the version says of its gate: verdict, report, and against which champion."""
    return {
        GATED: str(report.as_of),
        AGAINST: report.champion_digest or NOBODY,
        REPORT: report.digest,
        VERDICT: report.verdict if report.candidate == version.number else "hold",
    }


def _figures(report: GateReport) -> Iterator[tuple[str, float]]:
    """The gains as metrics of the run."""
    yield "gate_promote", float(report.verdict == "promote")
    yield "gate_rows", float(report.rows)
    for check in report.checks:
        gain = check.numbers.get("gain")
        if check.family in ("outcomes", "calibration") and gain and gain[0] is not None:
            yield f"gate_{check.name}_gain", gain[0]
        share = check.numbers.get("share")
        if check.family == "stability" and share is not None and math.isfinite(share):
            yield f"gate_{check.name}_changed", share


def _silent(_stage: str, _done: int, _total: int) -> None:
    return None
