"""Where a caller of the API changes which version decides, and reads what a gate found.

Everything goes through ``retraining``: the same refusals, the same two entries in the audit trail, in the
caller's name. What was changed is served when the answer is sent. Made by ``cli.serve``; the routes know it
as ``site.Loop``, because this module imports MLflow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headwater.apps.http.following import Following
from headwater.core.errors import HeadwaterError, ModelError, Problem
from headwater.models.canary import Canary, canary_of
from headwater.models.noted import Noted
from headwater.models.recalled import Recalled
from headwater.models.registry import Registry, bare
from headwater.models.version import CHALLENGER, Version
from headwater.monitoring.canary import none_of, standing
from headwater.retraining.canary import CanaryChanged, declare, settle_in_turn, stop
from headwater.retraining.kept import latest_report
from headwater.retraining.promotion import Changed, Office, promote, rollback
from headwater.serving.service import Service
from headwater.store.protocol import Trail
from headwater.store.shadow import ShadowLedger

SQLITE = "sqlite:///"
SERVER = "server"  # who acts where nobody asked
_DIGITS = 9


class Desk:
    """The loop's decisions, asked for over HTTP. Its methods wait for disks: call them in threads.

    Args:
        service: what is served.
        following: brings what was changed into service.
        trail: the project's audit trail.
        clock: now, microseconds UTC.
    """

    def __init__(
        self, service: Service, following: Following, trail: Trail, clock: Callable[[], int]
    ) -> None:
        self._service = service
        self._following = following
        self._trail = trail
        self._clock = clock

    def promote(
        self, model: str, version: str | int | None, *, force: bool, why: str | None, actor: str
    ) -> Any:
        """Make a version the champion, and serve it; see ``retraining.promotion.promote``."""
        wanted = CHALLENGER if version is None else _which(version)
        with self._without_addresses():
            return self._changed(promote(self._office(actor), model, wanted, force=force, why=why))

    def rollback(self, model: str, *, why: str | None, actor: str) -> Any:
        """Bring the earlier champion back, and serve it; see ``retraining.promotion.rollback``."""
        with self._without_addresses():
            return self._changed(rollback(self._office(actor), model, why=why))

    def canary(self, model: str) -> Any:
        """The canary of a model, and what it decided beside the champion; see ``monitoring.canary``."""
        with self._without_addresses():
            found = canary_of(self._following.registry.versions(model))
        if found is None:
            return none_of(model)
        with ShadowLedger.open(self._service.folder.shadow) as ledger:
            told = standing(self._service.decisions, ledger, found).to_json()
        return {**told, "canary": self._canary(found)}

    def declare(self, model: str, share: float, *, why: str | None, actor: str) -> Any:
        """Let the challenger answer a share of the decisions; see ``retraining.canary.declare``."""
        defined = next(one for one in self._service.serving.project.models if one.name == model)
        with self._without_addresses():
            return self._canary_changed(declare(self._office(actor), defined, share, why=why))

    def stop(self, model: str, *, why: str | None, actor: str) -> Any:
        """Let the champion decide alone again; see ``retraining.canary.stop``."""
        with self._without_addresses():
            return self._canary_changed(stop(self._office(actor), model, why=why))

    def settle(self, model: str) -> bool:
        """Write down what became of a canary that ended by itself; see ``retraining.canary.settle``."""
        return settle_in_turn(self._office(SERVER), model)

    def gate(self, model: str, version: str | int | None) -> Any:
        """The newest report of a gate; None if there is none."""
        which = None if version is None else _which(version)
        with self._without_addresses():
            found = latest_report(self._registry, model, which)
        return None if found is None else {**found.form, "report": found.digest}

    @property
    def _registry(self) -> Registry:
        """The registry itself: whoever only reads may go by notes of it."""
        found = self._following.registry
        asked = found.asked() if isinstance(found, (Noted, Recalled)) else found
        if not isinstance(asked, Registry):
            raise TypeError(type(asked).__name__)
        return asked

    @contextmanager
    def _without_addresses(self) -> Iterator[None]:
        """Errors as they are, but not where registry and files lie: that is for the server's own people."""
        try:
            uri = self._registry.uri
        except ModelError as error:
            told = (replace(one, got=None, where="the registry") for one in error.problems)
            raise ModelError(*told) from error  # what it got says where it lies, in many forms
        try:
            yield
        except HeadwaterError as error:
            home = str(Path(uri.removeprefix(SQLITE)).parent) if uri.startswith(SQLITE) else bare(uri)
            host = urlsplit(uri).hostname or home
            names = dict.fromkeys((uri, home, host), "the registry")
            raise type(error)(*(_renamed(one, names) for one in error.problems)) from error

    def _office(self, actor: str) -> Office:
        folder = self._service.folder.path
        return Office(self._registry, self._trail, folder, actor, self._clock())

    def _canary(self, canary: Canary) -> dict[str, Any]:
        answers = self._service.serving.canaries.get(canary.model)
        return {**canary.to_json(), "answers": answers is not None and answers.canary == canary}

    def _canary_changed(self, changed: CanaryChanged) -> dict[str, Any]:
        self._following.look()
        canary = None if changed.canary is None else self._canary(changed.canary)
        return {**changed.to_json(), "canary": canary}

    def _changed(self, changed: Changed) -> dict[str, Any]:
        self._following.look()
        served = self._service.serving.scorings.get(changed.model)
        return {
            "model": changed.model,
            "champion": version_of(changed.champion),
            "before": changed.before,
            "forced": changed.forced,
            "changed": changed.changed,
            "served": served is not None and served.digest == changed.champion.digest,
            "words": changed.words,
        }


def version_of(version: Version) -> dict[str, Any]:
    """A version as plain values."""
    return {"number": version.number, "aliases": list(version.aliases), "digest": version.digest}


def _renamed(problem: Problem, names: Mapping[str, str]) -> Problem:
    facts = {name: fact for name, fact in asdict(problem).items() if isinstance(fact, str)}
    for text, name in names.items():
        facts = {fact: value.replace(text, name) for fact, value in facts.items()}
    return replace(problem, **facts)


def _which(text: str | int) -> str | int:
    """A version's number, or an alias."""
    if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= _DIGITS:
        return int(text)
    return text
