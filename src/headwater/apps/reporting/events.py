"""Late events and dead letters of the stretch: counted, never shown. Called by ``report``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from headwater.apps.reporting.material import Material, lasting
from headwater.paper.document import Block, Section, Table, Tile, Tiles, Tone, Words
from headwater.store.late import LateEvent, LateLedger

ID, TITLE = "events", "Late and dead events"
_PAGE = 1_000


def section(material: Material) -> Section:
    """By stream: late events and what they moved; by reason: what was refused."""
    late, words = _late(material), None
    if late is None:
        words = "Late events are not known: there is no late ledger. To do: headwater late, or run a server."
    dead = _dead(material)
    touched = {one.id for event in late or () for one in event.decisions}
    tone: Tone = "watch" if dead or touched else "good"
    count = None if late is None else len(late)
    tiles = (
        Tile(
            "Late events",
            "not known" if count is None else f"{count:,}",
            "behind a newer one of their entity",
        ),
        Tile("Decisions they would have changed", f"{len(touched):,}", tone="watch" if touched else "plain"),
        Tile("Dead letters", f"{sum(dead.values()):,}", "refused at the door", "watch" if dead else "good"),
    )
    blocks: list[Block] = [Tiles(tiles), *([Words(words, "quiet")] if words else [])]
    if late:
        blocks.append(_late_table(late))
    if dead:
        rows = [(stream, reason, count) for (stream, reason), count in sorted(dead.items())]
        blocks.append(
            Table.of("Dead letters by stream and reason", ("stream", "reason", "events"), rows, (2,))
        )
    return Section(ID, TITLE, tuple(blocks), tone=tone)


def _late(material: Material) -> list[LateEvent] | None:
    if not material.place.folder.late.is_file():
        return None
    with LateLedger.open(material.place.folder.late) as ledger:
        return list(_events(material, ledger))


def _events(material: Material, ledger: LateLedger) -> Iterator[LateEvent]:
    after = 0
    while True:
        page = ledger.page(
            model=material.model.name, since=material.start, until=material.stop, after=after, limit=_PAGE
        )
        yield from (event for _, event in page)
        if len(page) < _PAGE:
            return
        after = page[-1][0]


def _late_table(late: list[LateEvent]) -> Table:
    by_stream: dict[str, list[LateEvent]] = defaultdict(list)
    for event in late:
        by_stream[event.stream].append(event)
    rows = []
    for stream, events in sorted(by_stream.items()):
        ordered = sorted(event.late for event in events)
        moved = Counter(name for event in events for name in event.moved)
        most = ", ".join(name for name, _ in sorted(moved.items(), key=lambda one: (-one[1], one[0]))[:3])
        rows.append(
            (
                stream,
                len(events),
                lasting(ordered[len(ordered) // 2]),
                lasting(ordered[-1]),
                sum(bool(event.moved) for event in events),
                sum(len(event.decisions) for event in events),
                most,
            )
        )
    columns = (
        "stream",
        "late",
        "late by, median",
        "at most",
        "moved a feature",
        "decisions changed",
        "moved most",
    )
    return Table.of("Late events by stream, by their arrival", columns, rows, (1, 2, 3, 4, 5))


def _dead(material: Material) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    after = 0
    with material.place.records() as records:
        box = records.letters(lambda: material.log, move=False)
        while page := box.dead_letters(after=after, limit=_PAGE):
            found.update((one.stream, one.reason) for one in page if material.holds(one.arrival))
            after = page[-1].id
    return found
