"""``headwater log tail``: the newest events, personal columns masked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import click

from headwater.apps.cli.screen import Screen, shown
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.masking import Mask
from headwater.core.batch import Batch
from headwater.core.instant import iso
from headwater.log.embedded import EmbeddedLog


@click.command("tail")
@click.option("--stream", metavar="NAME", help="Only events of this stream.")
@click.option(
    "-n", "--events", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many."
)
@at_workplace
def command(work: Workplace, screen: Screen, stream: str | None, events: int) -> None:
    """Show the newest events.

    In the order of the log, the newest last. Columns that are declared personal are not shown.
    """
    with work.bare_log() as log:
        rows = _newest(log, stream, events, work.mask(log))
    if screen.as_json:
        screen.write({"events": rows})
        return
    shortened = [
        (row["offset"], row["arrival"], row["time"], row["stream"], _fields(row["event"])) for row in rows
    ]
    screen.table(None, ("offset", "arrival", "time", "stream", "event"), shortened, numbers=("offset",))


def _newest(log: EmbeddedLog, stream: str | None, count: int, mask: Mask) -> list[dict[str, Any]]:
    """The last ``count`` events, looking ever further back for them."""
    end, reach = log.end(), count
    while True:
        start = max(0, end - reach)
        batches = list(log.scan(None if stream is None else [stream], start=start, stop=end))
        if start == 0 or sum(map(len, batches)) >= count:
            return list(chain.from_iterable(_rows(batch, mask) for batch in batches))[-count:]
        reach *= 8


def _rows(batch: Batch, mask: Mask) -> Iterator[dict[str, Any]]:
    for place, event in enumerate(batch.frame.iter_rows(named=True)):
        yield {
            "offset": int(batch.offset[place]),
            "arrival": iso(int(batch.arrival[place])),
            "time": iso(int(batch.time[place])),
            "stream": batch.stream,
            "event": mask.event(batch.stream, event),
        }


def _fields(event: dict[str, Any]) -> str:
    return "  ".join(
        f"{name}={shown(value) if isinstance(value, float) else value}" for name, value in event.items()
    )
