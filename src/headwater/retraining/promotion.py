"""Promote and roll back: one step in the registry, told in the audit trail before and after.

The change of champion itself is a single write of one alias, so a reader finds the old champion or the new
one, never none. Around it stand two entries of the audit trail::

    model.promoting   what is about to be done, with the champion before and after
    (the alias moves)
    model.promote     done                      or model.promote_undone, if the alias did not move

Whoever is killed in between leaves an entry without its end; the next call on the model looks at where the
alias stands and writes the end that is true (:func:`settle`). Earlier champions are remembered in a tag of
the registered model, the newest last, so that a rollback may follow a rollback. Called by jobs, the HTTP
door and ``headwater promote`` and ``rollback``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headwater.core.errors import GateError, HeadwaterError, ModelError
from headwater.models.registry import CHALLENGER, CHAMPION, Registry, Version
from headwater.retraining.gate import AGAINST, NOBODY, REPORT, VERDICT
from headwater.retraining.turn import turn
from headwater.store.audit import Act, AuditTrail

EARLIER = "headwater.earlier"
PREVIOUS = "previous"
_MOST_EARLIER = 20
_PAGE = 1_000

Verb = Literal["promote", "rollback"]
_BEFORE: Mapping[str, str] = {"promote": "model.promoting", "rollback": "model.rolling_back"}
_AFTER: Mapping[str, str] = {"promote": "model.promote", "rollback": "model.rollback"}
_UNDONE: Mapping[str, str] = {"promote": "model.promote_undone", "rollback": "model.rollback_undone"}
_ENDS = frozenset({*_AFTER.values(), *_UNDONE.values()})


@dataclass(frozen=True)
class Changed:
    """A change of champion.

    Attributes:
        model: the model's name.
        champion: who decides from now on.
        before: the number of the champion before; None where there was none.
        forced: whether it went past the gate.
        changed: False where it was so already.
        words: one sentence.
    """

    model: str
    champion: Version
    before: int | None
    forced: bool
    changed: bool
    words: str


@dataclass(frozen=True)
class Office:
    """What a change of champion needs.

    Attributes:
        registry: of the project.
        trail: the project's audit trail.
        folder: the data folder, for the lock.
        actor: who acts, as the audit trail names people.
        now: microseconds UTC.
    """

    registry: Registry
    trail: AuditTrail
    folder: Path
    actor: str
    now: int


def promote(
    office: Office,
    model: str,
    which: str | int = CHALLENGER,
    *,
    force: bool = False,
    why: str | None = None,
) -> Changed:
    """Make a version the champion, if its gate said so.

    Args:
        office: registry, audit trail, and who acts.
        model: the model's name.
        which: the version's number or alias.
        force: promote past the gate; ``why`` must say why.
        why: kept in the audit trail.

    Raises:
        GateError: the version was not gated, its gate held it, it was gated against another champion, it is
            forced without a reason, or another process is at it.
        ModelError: there is no such version, its artifact is damaged, or the registry cannot be written; the
            champion is as it was.
        StoreError: the audit trail cannot be written; nothing was changed then.
    """
    with turn(office.folder, model, "promotion"):
        settle(office, model)
        version = office.registry.version(model, which)
        before = _champion(office.registry, model)
        if before is not None and before.number == version.number:
            words = f"{model} version {version.number} is the champion already; nothing was changed."
            return Changed(model, version, before.number, forced=False, changed=False, words=words)
        GateError.raise_if(error.problems[0] for error in _refusals(version, before, force, why))
        office.registry.load(model, version.number)  # a damaged one never becomes champion
        forced = force and version.tags.get(VERDICT) != "promote"
        earlier = earlier_of(office.registry, model)
        after = [*earlier, before.number][-_MOST_EARLIER:] if before is not None else earlier
        facts = {
            "gate": version.tags.get(VERDICT),
            "gate_report": version.tags.get(REPORT),
            "forced": forced,
            "why": why,
        }
        champion = _change(office, "promote", version, before, (earlier, after), facts)
        past = ", past its gate" if forced else ""
        words = f"{model} version {version.number} is champion now{past}"
        words += f"; before it was version {before.number}." if before is not None else ", the first one."
        return Changed(
            model, champion, before.number if before else None, forced=forced, changed=True, words=words
        )


def rollback(office: Office, model: str, *, why: str | None = None) -> Changed:
    """Bring the earlier champion back.

    Raises:
        GateError: there was no earlier champion, or another process is at it.
        ModelError: the registry cannot be written, or the earlier champion is damaged; the champion is as it
            was.
        StoreError: the audit trail cannot be written; nothing was changed then.
    """
    with turn(office.folder, model, "promotion"):
        settle(office, model)
        before, earlier = _champion(office.registry, model), earlier_of(office.registry, model)
        if before is None or not earlier:
            raise GateError.of(
                f"{model} has no earlier champion to go back to",
                expected="a promotion that can be taken back",
                got="no champion" if before is None else f"version {before.number}, the first one",
                where=office.registry.uri,
                do="promote the version that you want: headwater promote --version N --force --why TEXT",
            )
        version = office.registry.version(model, earlier[-1])
        office.registry.load(
            model, version.number
        )  # a damaged one is refused while the champion still decides
        champion = _change(office, "rollback", version, before, (earlier, earlier[:-1]), {"why": why})
        words = f"{model} version {version.number} is champion again; version {before.number} was taken back."
        return Changed(model, champion, before.number, forced=False, changed=True, words=words)


def earlier_of(registry: Registry, model: str) -> list[int]:
    """The numbers of the earlier champions, the newest last."""
    text = registry.said(model).get(EARLIER, "[]")
    try:
        return [int(number) for number in json.loads(text)]
    except (ValueError, TypeError):
        raise ModelError.of(
            "the note of the earlier champions cannot be read",
            expected="a JSON list of version numbers",
            got=text,
            where=f"{registry.uri}, tag {EARLIER} of {model}",
            do="correct the tag in MLflow",
        ) from None


def settle(office: Office, model: str) -> bool:
    """Write the end of a change that was interrupted; whether there was one.

    Callers hold the model's turn.
    """
    open_act = _open(office.trail, model)
    if open_act is None:
        return False
    verb: Verb = "promote" if open_act.action == _BEFORE["promote"] else "rollback"
    facts = dict(open_act.details)
    champion = _champion(office.registry, model)
    moved = champion is not None and champion.number == facts["version"]
    if moved and champion is not None:
        _tidy(office.registry, champion, facts["before"], facts["earlier_after"])
    told = {**facts, "settled": True, "begun_by": open_act.actor, "begun_at": open_act.at}
    action = _AFTER[verb] if moved else _UNDONE[verb]
    office.trail.append(Act(office.now, office.actor, action, model, told))
    return True


def _change(
    office: Office,
    verb: Verb,
    version: Version,
    before: Version | None,
    earlier: tuple[list[int], list[int]],
    facts: Mapping[str, Any],
) -> Version:
    """Tell, move the alias, tidy up, tell."""
    details = {
        "version": version.number,
        "digest": version.digest,
        "before": None if before is None else before.number,
        "before_digest": None if before is None else before.digest,
        "earlier_before": earlier[0],
        "earlier_after": earlier[1],
        **facts,
    }
    office.trail.append(Act(office.now, office.actor, _BEFORE[verb], version.model, details))
    try:
        office.registry.point(version.model, CHAMPION, version.number)
    except HeadwaterError:
        office.trail.append(Act(office.now, office.actor, _UNDONE[verb], version.model, details))
        raise
    _tidy(office.registry, version, details["before"], earlier[1])
    office.trail.append(Act(office.now, office.actor, _AFTER[verb], version.model, details))
    return office.registry.version(version.model, version.number)


def _tidy(registry: Registry, champion: Version, before: int | None, earlier: list[int]) -> None:
    """What follows from the champion: the earlier ones, and no alias that it had as challenger."""
    registry.say(champion.model, EARLIER, json.dumps(earlier))
    registry.point(champion.model, PREVIOUS, earlier[-1] if earlier else None)
    found = registry.version(champion.model, champion.number)
    if CHALLENGER in found.aliases:
        registry.point(champion.model, CHALLENGER, None)
    if before is not None:
        registry.note(champion, {"headwater.after": str(before)})


def _open(trail: AuditTrail, model: str) -> Act | None:
    """The last act that began a change of this model's champion and has no end."""
    found: Act | None = None
    after = 0
    while page := trail.page(after=after, limit=_PAGE):
        after = page[-1].number
        for entry in page:
            if entry.act.target != model:
                continue
            if entry.act.action in _BEFORE.values():
                found = entry.act
            elif entry.act.action in _ENDS:
                found = None
    return found


def _champion(registry: Registry, model: str) -> Version | None:
    return next((one for one in registry.versions(model) if CHAMPION in one.aliases), None)


def _refusals(version: Version, before: Version | None, force: bool, why: str | None) -> list[GateError]:
    """Why a version may not be promoted; at most one reason."""
    name = f"{version.model} version {version.number}"
    if force:
        if why and why.strip():
            return []
        return [
            GateError.of(
                "a promotion past the gate needs a reason",
                expected="--why with a sentence",
                got="none",
                where=name,
                do="say why; it is kept in the audit trail",
            )
        ]
    verdict = version.tags.get(VERDICT)
    if verdict is None:
        what, got, do = "was not gated", "no report of a gate", "gate it first: headwater gate"
    elif verdict != "promote":
        what, got = "was held by its gate", f"{verdict}, report {version.tags.get(REPORT, '')[:12]}"
        do = "read the report; or promote it past the gate with --force --why TEXT"
    elif version.tags.get(AGAINST) != (before.digest if before is not None else NOBODY):
        what, got = "was gated against another champion", version.tags.get(AGAINST, "")[:12]
        do = "gate it again: headwater gate"
    else:
        return []
    against = "no champion" if before is None else f"version {before.number}"
    return [
        GateError.of(
            f"{name} {what}",
            expected=f"a gate against {against} that said promote",
            got=got,
            where=version.model,
            do=do,
        )
    ]
