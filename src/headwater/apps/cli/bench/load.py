"""``headwater bench load``: an open loop of decisions and events on a running service (``apps.load``)."""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import polars as pl

from headwater.apps.access.secret import read_secret
from headwater.apps.cli.exits import Exit
from headwater.apps.cli.moments import SPAN
from headwater.apps.cli.remote import service
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import JSON
from headwater.apps.load.connection import Address
from headwater.apps.load.loop import Pace, Source, load
from headwater.apps.load.report import WORDS, document
from headwater.apps.load.requests import (
    MEDIA,
    Decisions,
    DecisionsOfFile,
    Desk,
    Events,
    EventsOfFile,
    Mixed,
    Posting,
    decisions_of,
    lines_of,
)
from headwater.apps.load.tally import Ended, Tally
from headwater.apps.load.target import StreamShape, Target
from headwater.apps.settings import environment
from headwater.client.sync import URL
from headwater.core.clock import SystemClock
from headwater.core.errors import DataError, StoreError

_SPARE = 64  # open files that are not connections
_EXITS = {Ended.INTERRUPTED: Exit.INTERRUPTED, Ended.ERRORS: Exit.STORE}


class _Rate(click.ParamType[float]):
    """Requests a second, or ``max``."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """``max`` is 0 for the command."""
        if value == "max":
            return 0.0
        try:
            rate = float(value)
        except ValueError:
            rate = 0.0
        if not 0 < rate <= 1_000_000:
            self.fail(f"{value!r} is no number above 0, nor 'max'", param, ctx)
        return rate


@dataclass(frozen=True)
class Wish:
    """What the options say of the requests."""

    kind: str
    policy: str | None
    stream: str | None
    keys: int
    share: float
    file: Path | None
    renew: bool
    seed: int
    posting: Posting


@click.command("load")
@click.argument("url", default=URL, metavar="[URL]")
@click.option(
    "--kind",
    type=click.Choice(["decisions", "events", "mixed"]),
    default="decisions",
    show_default=True,
    help="What is sent.",
)
@click.option(
    "--rate",
    type=_Rate(),
    default="100",
    show_default=True,
    metavar="N",
    help="Requests a second, whatever the service does; `max`: as many as the connections take.",
)
@click.option(
    "--seconds", type=click.FloatRange(0.1, 86_400), default=10.0, show_default=True, help="For how long."
)
@click.option(
    "--connections",
    type=click.IntRange(1, 10_000),
    default=32,
    show_default=True,
    help="How many at once.",
)
@click.option(
    "--warmup",
    type=click.FloatRange(0, 3_600),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="Send for so long before measuring.",
)
@click.option("--poisson", is_flag=True, help="Requests come at random, not evenly.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for an answer.",
)
@click.option(
    "--max-errors",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="End when a larger share of the requests fails: 0.01 is one in a hundred.",
)
@click.option("--policy", help="Whose decisions.  [default: the project's only one]")
@click.option("--stream", help="Whose events.  [default: the project's only one]")
@click.option(
    "--keys",
    type=click.IntRange(1),
    default=1_000,
    show_default=True,
    metavar="N",
    help="Made-up entities: 1 to N, or column-1 to column-N.",
)
@click.option(
    "--events",
    "count",
    type=click.IntRange(1, 50_000),
    default=1,
    show_default=True,
    metavar="N",
    help="Events in a request.",
)
@click.option("--refresh", is_flag=True, help="Wait for the fresh scores of the events' entities.")
@click.option(
    "--late",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="SHARE",
    help="So many events come late.  [default: none]",
)
@click.option("--late-by", type=SPAN, default="1d", show_default=True, help="Up to so late.")
@click.option(
    "--format",
    "media",
    type=click.Choice([*MEDIA]),
    default="json",
    show_default=True,
    help="How events are written.",
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Of decisions, with --kind mixed.",
)
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="NDJSON",
    help="Take events, or the bodies of decisions, from a file, one a line.",
)
@click.option("--renew", is_flag=True, help="Give the file's events new ids and the time of their sending.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what is drawn at random."
)
@click.option("--write", is_flag=True, help="Needed for events: they are real, and stay in the log.")
@JSON
def command(
    url: str,
    kind: str,
    rate: float,
    seconds: float,
    connections: int,
    warmup: float,
    poisson: bool,
    timeout: float,
    max_errors: float | None,
    write: bool,
    as_json: bool,
    count: int,
    refresh: bool,
    late: float,
    late_by: int,
    media: str,
    **wish: Any,
) -> None:
    """Put a load on a running service, and measure it.

    Latency counts from the moment at which a request was due, so that a stall is not hidden by the requests
    that it kept from being sent. Values are made up from what the service serves, or taken from a file.
    Decisions are recorded, as any other. Ctrl-C ends it, with the figures so far.
    """
    screen = Screen(as_json=as_json)
    _check(kind, write=write, connections=connections)
    pace = Pace(
        rate or None, seconds, connections, warmup, timeout, max_errors, even=not poisson, seed=wish["seed"]
    )
    asked = Wish(kind=kind, posting=Posting(count, refresh, media, late, late_by), **wish)
    source = _source(url, asked)
    tally = _load(screen, url, source, pace)
    if screen.as_json:
        screen.write({"url": url, "kind": kind, **document(tally, pace)})
    else:
        _print(screen, url, pace, tally)
    if tally.ended in _EXITS:
        click.get_current_context().exit(_EXITS[tally.ended])


def _check(kind: str, *, write: bool, connections: int) -> None:
    if kind != "decisions" and not write:
        raise click.UsageError(
            "events are real: they stay in the service's log and move its scores; say --write if you mean it"
        )
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE
    if connections > most:
        raise click.UsageError(f"this shell allows {most:,} connections at most; raise it with `ulimit -n`")


def _load(screen: Screen, url: str, source: Source, pace: Pace) -> Tally:
    with screen.progress(one_bar=True) as advance:

        def tell(tally: Tally, seconds: float) -> None:
            p99 = tally.latency.percentile(99) / 1e6
            told = f"{tally.good:,} answered, p99 {p99:.1f} ms, {tally.errors:,} errors"
            advance(told, round(seconds), round(pace.seconds))

        try:
            return load(Address.of(url), source, pace, _now_and_then(tell))
        except OSError as error:
            raise StoreError.of(
                "the service cannot be reached",
                got=error.strerror or type(error).__name__,
                where=url,
                do="see whether it takes so many connections",
            ) from error


def _now_and_then(tell: Callable[[Tally, float], None]) -> Callable[[Tally, float], None]:
    """Once a second of the load: adding histograms up costs a little."""
    told = -1

    def now_and_then(tally: Tally, seconds: float) -> None:
        nonlocal told
        if int(seconds) > told:
            told = int(seconds)
            tell(tally, seconds)

    return now_and_then


# --- What is sent ------------------------------------------------------------------------------------


def _source(url: str, wish: Wish) -> Source:
    key = read_secret("HEADWATER_API_KEY", environment())
    headers = {} if key is None else {"Authorization": f"Bearer {key.reveal()}"}
    desk = Desk(Address.of(url), headers)
    lines = None if wish.file is None else lines_of(wish.file)
    if wish.renew and lines is None:
        raise click.UsageError("--renew goes with --file")
    if lines is not None and wish.kind == "mixed":
        raise click.UsageError("a file holds decisions or events: --file does not go with --kind mixed")
    if lines is not None and wish.kind == "decisions":
        return DecisionsOfFile(desk, decisions_of(lines, wish.file or Path()))
    if lines is not None and not wish.renew and wish.stream is not None:
        return EventsOfFile(desk, wish.stream, lines, wish.posting)
    target = _target(url)
    if wish.kind == "decisions":
        return _decisions(desk, target, wish)
    stream = target.stream(wish.stream)
    if lines is not None and not wish.renew:
        return EventsOfFile(desk, stream.name, lines, wish.posting)
    events = _events(desk, stream, lines, wish)
    return (
        events
        if wish.kind == "events"
        else Mixed(_decisions(desk, target, wish), events, wish.share, wish.seed)
    )


def _target(url: str) -> Target:
    with service(url, how="behind `bench load`") as client:
        return Target.of(client.plan().definition)


def _decisions(desk: Desk, target: Target, wish: Wish) -> Decisions:
    return Decisions(desk, target.policy(wish.policy), wish.keys, wish.seed)


def _events(desk: Desk, stream: StreamShape, lines: list[bytes] | None, wish: Wish) -> Events:
    rows = None
    if lines is not None:
        try:
            rows = pl.read_ndjson(b"\n".join(lines), infer_schema_length=None)
        except pl.exceptions.PolarsError:
            raise DataError.of(
                "the events of the file have no common columns",
                expected="the columns of the stream, each of one type",
                where=str(wish.file),
                do="correct the file",
            ) from None
    return Events(desk, stream, wish.posting, wish.keys, SystemClock().now, wish.seed, rows)


# --- What came of it ---------------------------------------------------------------------------------


def _print(screen: Screen, url: str, pace: Pace, tally: Tally) -> None:
    told = document(tally, pace)
    how = "as many as the connections take" if pace.rate is None else f"{pace.rate:,g} requests/s"
    screen.say(f"{url}: {how}, {pace.connections} connections, {tally.seconds:.1f} s", "bold")
    screen.say(f"It went {WORDS[tally.ended]}.")
    names = ("p50", "p90", "p99", "p99.9", "max")
    columns = ("", "answered", "per second", *(f"{name} ms" for name in names))
    rows = [_row(name, kind, names) for name, kind in told["kinds"].items()]
    screen.table(None, columns, rows, numbers=columns[1:])
    for kind in told["kinds"].values():
        if "events" in kind:
            _print_events(screen, kind["events"])
    for name, fault in told["faults"].items():
        screen.say(f"  {fault['count']:,} x {name}: {fault['first'] or 'no more is known'}", "red")
    own = told["generator"]
    late = "" if pace.rate is None else f"was late itself by {own['late_ms']['p99']:.2f} ms at p99, and "
    screen.say(f"The generator {late}used {own['cores']:.2f} of a processor.")
    if pace.rate is None:
        screen.note("each connection waited for its answer: the rate counts here, the latencies say little")


def _row(name: str, kind: Mapping[str, Any], percents: tuple[str, ...]) -> list[Any]:
    durations = kind["latency_ms"]
    return [name, kind["good"], f"{kind['per_second']:,.1f}", *(f"{durations[one]:,.2f}" for one in percents)]


def _print_events(screen: Screen, events: Mapping[str, Any]) -> None:
    rest = ", ".join(f"{events[name]:,} {name}" for name in ("duplicates", "refused") if events[name])
    told = f"  {events['accepted']:,} events taken, {events['accepted_per_second']:,.0f} a second"
    screen.say(told + (f"; {rest}" if rest else ""))
    if events["refused"]:
        screen.say("  why some were refused: headwater log dead-letters", "yellow")
