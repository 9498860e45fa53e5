"""Start, change and stop a canary: one tag in the registry, each step in the audit trail.

::

    model.canary          a share is declared, before the tag is set; model.canary_undone if it could not be
    model.canary_end      it is over: stopped, or the champion or the challenger is another one

A promotion, a rollback or another challenger ends a canary by itself, because its note names the two between
whom it stands (``models.canary``). Whoever comes next writes that down (:func:`settle`): the promotion, the
next call here, or the running server, which looks every two seconds. Called by ``promotion``, the HTTP door
and ``headwater canary``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from headwater.core.errors import HeadwaterError, ModelError
from headwater.definitions.compile import content_hash
from headwater.definitions.model import Model
from headwater.models.canary import TAG, Canary, canary_of, checked, lapsed
from headwater.models.registry import CHALLENGER, CHAMPION, Version
from headwater.retraining.gate import VERDICT
from headwater.retraining.office import Office
from headwater.retraining.turn import turn
from headwater.store.audit import Act

_SET, _UNDONE, _END = "model.canary", "model.canary_undone", "model.canary_end"


@dataclass(frozen=True)
class CanaryChanged:
    """A change of a canary.

    Attributes:
        model: the model's name.
        canary: as it is now; None if there is none any more.
        before: the share before; None where there was no canary.
        changed: False where it was so already.
        words: one sentence.
    """

    model: str
    canary: Canary | None
    before: float | None
    changed: bool
    words: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        canary = None if self.canary is None else self.canary.to_json()
        return {**{one.name: getattr(self, one.name) for one in fields(self)}, "canary": canary}


def declare(office: Office, model: Model, share: float, *, why: str | None = None) -> CanaryChanged:
    """Let the challenger answer a share of the decisions; of a canary in force, change the share.

    Args:
        office: registry, audit trail, and who acts.
        model: the model as it is served.
        share: of the entities, above 0, at most 1.
        why: kept in the audit trail.

    Raises:
        DataError: the share is none.
        ModelError: there is no champion or no challenger; the challenger was trained from another definition,
            or is damaged; the registry cannot be written. The champion goes on alone.
        GateError: another process is at it.
        StoreError: the audit trail cannot be written; nothing was changed then.
    """
    share, name = checked(share), model.name
    with turn(office.folder, name, "promotion"):
        settle(office, name)
        versions = office.registry.versions(name)
        champion, challenger = _sides(office, name, versions)
        office.registry.load(name, challenger.number, definition_hash=content_hash(model))
        found = canary_of(versions)
        before = None if found is None else found.share
        named = f"{name} version {challenger.number}"
        if found is not None and before == share:
            words = f"{named} answers {found.percent} of the decisions already; nothing was changed."
            return CanaryChanged(name, found, before, changed=False, words=words)
        new = found.of(share) if found else _new(office, champion, challenger, share)
        details = _facts(new) | {"before": before, "why": why, "gate": challenger.tags.get(VERDICT)}
        _note(office, challenger, new, details)
        words = f"{named} answers {new.percent} of the decisions from now on; "
        others = f"version {champion.number} the others" if share < 1 else "the champion none"
        words += f"{others}." if found is None else f"before it was {found.percent}."
        return CanaryChanged(name, new, before, changed=True, words=words)


def stop(office: Office, model: str, *, why: str | None = None) -> CanaryChanged:
    """Let the champion decide alone again.

    Raises:
        ModelError: the registry cannot be written.
        GateError: another process is at it.
        StoreError: the audit trail cannot be written; the canary is over, and the next call writes it down.
    """
    with turn(office.folder, model, "promotion"):
        settle(office, model)
        versions = office.registry.versions(model)
        found = canary_of(versions)
        if found is None:
            words = f"{model} has no canary; nothing was changed."
            return CanaryChanged(model, None, None, changed=False, words=words)
        office.registry.mark(_numbered(versions, found.version), TAG, None)
        _tell(office, _END, model, _facts(found) | {"because": "it was stopped", "why": why})
        words = f"The canary of {model} is over; the champion decides alone."
        return CanaryChanged(model, None, found.share, changed=True, words=words)


def in_force(office: Office, model: str) -> Canary | None:
    """The canary of a model, after what nobody wrote down was; None if there is none.

    Raises:
        ModelError: the registry cannot be read.
        GateError: another process is at it.
    """
    settle_in_turn(office, model)
    return canary_of(office.registry.versions(model))


def settle(office: Office, model: str) -> bool:
    """Write down what became of a canary that nobody wrote down, and take old notes away; whether there was.

    Callers hold the model's turn.
    """
    versions = office.registry.versions(model)
    old = lapsed(versions)
    now = None if old and _named(versions, CHALLENGER) in old else canary_of(versions)
    for version in old:
        office.registry.mark(version, TAG, None)
    told = _told(office, model)
    if told is None or now is None or not _same(told, now):
        if told is not None:
            _tell(office, _END, model, {**told, "because": _because(told, versions), "settled": True})
        if now is not None:  # set past us, in MLflow's own way
            _tell(office, _SET, model, _facts(now) | {"before": None, "why": None, "settled": True})
    elif told["share"] != now.share:  # whoever declared the share was killed before it was noted
        _tell(office, _UNDONE, model, {**_facts(now), "settled": True})
    else:
        return bool(old)
    return bool(old) or told is not None or now is not None


def settle_in_turn(office: Office, model: str) -> bool:
    """The same, for callers without the model's turn.

    Raises:
        GateError: another process is at it.
    """
    with turn(office.folder, model, "promotion"):
        return settle(office, model)


def _new(office: Office, champion: Version, challenger: Version, share: float) -> Canary:
    number, digest = challenger.number, challenger.digest
    return Canary(challenger.model, number, digest, champion.digest, share, office.now)


def _note(office: Office, challenger: Version, canary: Canary, details: Mapping[str, Any]) -> None:
    """Tell, set the tag, and tell if it could not be set."""
    _tell(office, _SET, canary.model, details)
    try:
        office.registry.mark(challenger, TAG, canary.tag())
    except HeadwaterError:
        _tell(office, _UNDONE, canary.model, {**details, "share": details["before"]})
        raise


def _told(office: Office, model: str) -> Mapping[str, Any] | None:
    """The canary that is in force by the audit trail, as its entry says; None if there is none."""
    found: Mapping[str, Any] | None = None
    for act in office.acts(model):
        if act.action == _END:
            found = None
        elif act.action in (_SET, _UNDONE):
            found = act.details if act.details.get("share") is not None else None
    return None if found is None else {name: found[name] for name in _FACTS}


def _sides(office: Office, model: str, versions: Sequence[Version]) -> tuple[Version, Version]:
    """Champion and challenger."""
    champion, challenger = _named(versions, CHAMPION), _named(versions, CHALLENGER)
    if champion is not None and challenger is not None and champion.number != challenger.number:
        return champion, challenger
    lacking = CHAMPION if champion is None else CHALLENGER
    raise ModelError.of(
        f"{model} has no {lacking}",
        expected="a champion, and a challenger that answers a share of its decisions",
        got=", ".join(f"{v.number}{''.join(f' ({a})' for a in v.aliases)}" for v in versions) or "no version",
        where=office.registry.uri,
        do="train a challenger: headwater retrain"
        if champion is not None
        else "make a version the champion first: headwater promote",
    )


def _because(told: Mapping[str, Any], versions: Sequence[Version]) -> str:
    champion, challenger = _named(versions, CHAMPION), _named(versions, CHALLENGER)
    if champion is not None and champion.digest == told["digest"]:
        return "it is the champion now"
    if champion is None or champion.digest != told["champion"]:
        return "the champion is another one"
    if challenger is None or challenger.digest != told["digest"]:
        return "the challenger is another one"
    return "its note in the registry is gone"


_FACTS = ("version", "digest", "champion", "share", "started")


def _facts(canary: Canary) -> dict[str, Any]:
    return {name: getattr(canary, name) for name in _FACTS}


def _same(told: Mapping[str, Any], now: Canary) -> bool:
    return all(told[name] == getattr(now, name) for name in ("digest", "champion", "started"))


def _named(versions: Sequence[Version], alias: str) -> Version | None:
    return next((one for one in versions if alias in one.aliases), None)


def _numbered(versions: Sequence[Version], number: int) -> Version:
    return next(one for one in versions if one.number == number)


def _tell(office: Office, action: str, model: str, details: Mapping[str, Any]) -> None:
    office.trail.append(Act(office.now, office.actor, action, model, details))
