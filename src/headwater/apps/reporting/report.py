"""The report: all sections, for each model of the project, as one document.

``make_report`` is what ``headwater report`` and the daily job call. It reads, changes nothing, and
for the same data gives the same document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from headwater.apps.reporting import (
    alerts,
    decisions,
    drift,
    events,
    fairness,
    freshness,
    gate,
    outcomes,
    parity,
)
from headwater.apps.reporting.material import Material, minute, told
from headwater.apps.settings import Settings
from headwater.apps.watching.place import Place
from headwater.core.errors import DataError, LogError
from headwater.core.instant import WEEK, iso
from headwater.definitions.loading import load_project
from headwater.log.embedded import EmbeddedLog
from headwater.models.registry import CHAMPION
from headwater.paper.document import Document, Section
from headwater.store.folder import DataFolder

USUAL = 4 * WEEK  # the stretch, unless another is named
Write = Callable[[Material], Section]
_OF_A_MODEL: tuple[tuple[str, str, Write], ...] = (
    (decisions.ID, decisions.TITLE, decisions.section),
    (freshness.ID, freshness.TITLE, freshness.section),
    (drift.ID, drift.TITLE, drift.section),
    (outcomes.ID, outcomes.TITLE, outcomes.section),
    (gate.ID, gate.TITLE, gate.section),
    (fairness.ID, fairness.TITLE, fairness.section),
    (events.ID, events.TITLE, events.section),
)
_OF_ALL: tuple[tuple[str, str, Write], ...] = (
    (parity.ID, parity.TITLE, parity.section),
    (alerts.ID, alerts.TITLE, alerts.section),
)


def make_report(settings: Settings, start: int, stop: int, *, now: int | None = None) -> Document:
    """The report on a stretch of time.

    Args:
        settings: where project, data and registry are.
        start: of the stretch, microseconds UTC.
        stop: the first instant after it.
        now: as of when labels are mature; ``stop`` by default.

    Raises:
        DefinitionError: the project cannot be loaded.
        LogError: there is no event log, or it is damaged.
        DataError: the stretch ends before it begins.
    """
    if stop <= start:
        raise DataError.of(
            "a stretch of time ends before it begins",
            expected="--from before --to",
            got=f"{iso(start)} to {iso(stop)}",
            do="exchange them, or name other times",
        )
    if not settings.log.is_file():
        raise LogError.of(
            "there is no event log yet",
            where=str(settings.log),
            do="bring events in first: headwater import stream=file; or name the folder with --data",
        )
    project = load_project(settings.project)
    place = Place(DataFolder(settings.data), project, settings.tracking_uri, settings.database)
    with EmbeddedLog.open(settings.log, project.streams, writer=False) as log:
        materials = [
            Material(place, log, start, stop, max(now or stop, stop), model) for model in project.models
        ]
        sections = tuple(_sections(materials))
        facts = tuple(_facts(materials))
    return Document(
        title=f"Headwater: {project.name}",
        subtitle=f"{minute(start)} to {minute(stop)} UTC",
        facts=facts,
        sections=sections,
        closing="Made by headwater report from the event log and what is derived from it. Times are UTC.",
    )


def _sections(materials: list[Material]) -> Iterator[Section]:
    several = len(materials) > 1
    for material in materials:
        name = material.model.name
        for id, title, write in _OF_A_MODEL:
            section = told(id, title, lambda write=write, material=material: write(material))  # type: ignore[misc]
            if several:
                section = replace(section, id=f"{name}-{id}", title=f"{title}: {name}")
            yield section
    for id, title, write in _OF_ALL if materials else ():
        yield told(id, title, lambda write=write: write(materials[0]))  # type: ignore[misc]


def _facts(materials: list[Material]) -> Iterator[tuple[str, str]]:
    for material in materials:
        champion = next((one for one in material.versions if CHAMPION in one.aliases), None)
        if champion is None:
            yield material.model.name, "not trained yet"
            continue
        digests = f"artifact {champion.digest[:12]}, definition {champion.definition_hash[:12]}"
        yield material.model.name, f"champion is version {champion.number} ({digests})"
