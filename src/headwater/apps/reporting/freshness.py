"""How fresh everything is: each stream, the state that serves, the champion. Called by ``report``."""

from __future__ import annotations

import numpy as np

from headwater.apps.reporting.material import Material, day, lasting, minute
from headwater.core.instant import DAY
from headwater.models.registry import CHAMPION
from headwater.paper.document import Section, Table, Tile, Tiles, Tone
from headwater.store.snapshots import Snapshots
from headwater.training.history import streams_of

ID, TITLE = "freshness", "Freshness"


def section(material: Material) -> Section:
    """By stream: how many events came, the newest one, and how long events took to arrive."""
    rows = [_stream(material, stream.name) for stream in streams_of(material.model)]
    table = Table.of(
        "The streams that the model reads, by the time at which events happened",
        ("stream", "events", "newest event", "newest arrival", "took to arrive, median", "99 of 100 within"),
        rows,
        (1, 4, 5),
    )
    return Section(ID, TITLE, (Tiles(tuple(_tiles(material))), table))


def _stream(material: Material, name: str) -> tuple[object, ...]:
    parts = list(material.log.scan([name], since=material.start, until=material.stop, by_stream=True))
    time = np.concatenate([np.empty(0, np.int64), *(part.time for part in parts)])
    arrival = np.concatenate([np.empty(0, np.int64), *(part.arrival for part in parts)])
    if not len(time):
        return (name, 0, None, None, None, None)
    took = np.maximum(arrival - time, 0)
    middle, most = np.quantile(took, [0.5, 0.99])
    newest = minute(int(time.max())), minute(int(arrival.max()))
    return (name, len(time), *newest, lasting(float(middle)), lasting(float(most)))


def _tiles(material: Material) -> list[Tile]:
    end, last = material.log.end(), material.log.arrival()
    behind = material.stop - last if end else 0
    tone: Tone = "watch" if behind > DAY else "good"
    beside = "before the end of the stretch" if behind > 0 else "events came until the end of the stretch"
    found = [
        Tile("The log", f"{end:,}", "events"),
        Tile("Last arrival", lasting(behind) if behind > 0 else "fresh", beside, tone),
    ]
    files = Snapshots(material.place.folder.snapshots).files()
    if files:
        stands = max(int(file.stem) for file in files)
        found.append(
            Tile("A restart replays", f"{max(end - stands, 0):,}", "events behind the newest snapshot")
        )
    else:
        found.append(Tile("A restart replays", f"{end:,}", "events: there is no snapshot", "watch"))
    champion = next((one for one in material.versions if CHAMPION in one.aliases), None)
    if champion is None:
        return [*found, Tile("Champion", "none", "nothing was trained", "watch")]
    baseline = material.registry.load(material.model.name, champion.number).baseline
    if baseline is None:
        return [*found, Tile("Champion", f"version {champion.number}")]
    until = baseline.learned[1]
    age = f"{lasting(max(material.stop - until, 0))} old"
    return [
        *found,
        Tile("The champion’s knowledge", age, f"version {champion.number} learned until {day(until)}"),
    ]
