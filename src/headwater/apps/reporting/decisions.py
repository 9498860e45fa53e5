"""How much was decided, and how: by day and by band. Called by ``report``."""

from __future__ import annotations

from collections import Counter

from headwater.apps.reporting.material import Material, day, days, missing
from headwater.core.instant import DAY
from headwater.paper.bars import stacked
from headwater.paper.chart import rung
from headwater.paper.document import Block, Section, Table, Tile, Tiles

ID, TITLE = "decisions", "Decisions"
_DO = "let a service decide: headwater serve, then POST /v1/decisions"


def section(material: Material) -> Section:
    """Counts by day and band, and the share of each band now and in the stretch before."""
    name, length = material.model.name, material.stop - material.start
    with material.place.records() as records:
        if not records.decided():
            return missing(ID, TITLE, "nothing was ever decided here", do=_DO)
        with records.decisions() as store:
            counted = store.tally(name, material.start, material.stop)
            before = store.tally(name, material.start - length, material.start)
    if not counted:
        return missing(ID, TITLE, f"{name} decided nothing in this stretch", do=_DO)
    known = list(material.policy.bands) if material.policy is not None else []
    bands = known + sorted({band for _, band, _ in counted} - set(known))
    return Section(ID, TITLE, tuple(_blocks(material, bands, counted, before)))


def _blocks(
    material: Material,
    bands: list[str],
    counted: list[tuple[int, str, int]],
    before: list[tuple[int, str, int]],
) -> list[Block]:
    now, then = _by_band(counted), _by_band(before)
    total, earlier = sum(now.values()), sum(then.values())
    by_day = {(number, band): count for number, band, count in counted}
    dates = [time // DAY for time in days(material.start, material.stop)]
    busiest = max(Counter({d: sum(by_day.get((d, b), 0) for b in bands) for d in dates}).items(), key=_second)
    beside = f"{earlier:,} in the stretch before" if earlier else "none in the stretch before"
    worst = bands[-1]
    tiles = (
        Tile("Decisions", f"{total:,}", beside),
        Tile(
            "A day", f"{total / max(len(dates), 1):,.0f}", f"most on {day(busiest[0] * DAY)}: {busiest[1]:,}"
        ),
        Tile(f"In “{worst}”", f"{now[worst] / total:.1%}", _was(then[worst], earlier)),
    )
    series = {
        band: (rung(place, len(bands)), [by_day.get((d, band), 0) for d in dates])
        for place, band in enumerate(bands)
    }
    picture = stacked(
        [day(d * DAY)[5:] for d in dates],
        series,
        alt=f"Bars: decisions by day and band, {total:,} in all; "
        + ", ".join(f"{band} {now[band]:,}" for band in bands),
        caption="Decisions by day, by the band that the policy gave. Days are UTC.",
    )
    rows = [
        (band, now[band], f"{now[band] / total:.1%}", _share(then[band], earlier), _change(now, then, band))
        for band in bands
    ]
    columns = ("band", "decisions", "share", "share before", "change (points)")
    table = Table.of("By band, beside the stretch of the same length before", columns, rows, (1, 2, 3, 4))
    return [Tiles(tiles), picture, table]


def _by_band(counted: list[tuple[int, str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for _, band, count in counted:
        found[band] += count
    return found


def _second(pair: tuple[int, int]) -> int:
    return pair[1]


def _share(part: int, whole: int) -> str | None:
    return f"{part / whole:.1%}" if whole else None


def _was(part: int, whole: int) -> str:
    return f"{part / whole:.1%} in the stretch before" if whole else ""


def _change(now: Counter[str], then: Counter[str], band: str) -> str | None:
    if not then.total():
        return None
    return f"{100 * (now[band] / now.total() - then[band] / then.total()):+.1f}"
