"""The demo's last page: the figures that a lender would want, for people. Called by ``run``.

What it shows are the values of ``figures``, rounded; nothing is computed here.
"""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

Json = dict[str, Any]


def show(console: Console, found: Json) -> None:
    """Print the page."""
    parts = [_live(found), _worth(found), _decision(found), _work(found)]
    console.print(
        Panel(
            Group(*parts),
            title=Text("Headwater: a lender goes live"),
            title_align="left",
            box=box.ROUNDED,
            width=min(console.width, 110),
            padding=(1, 2),
        )
    )


def _live(found: Json) -> Group:
    past, live, model = found["past"], found["live"], found["model"]
    learned = f"{model['inputs']} inputs, trained on {model['rows']:,} moments of the past"
    late = (
        f"{live['delayed']:,} arrived more than an hour late, {live['late']:,} of them behind newer events "
        f"of their account, by up to {_span(live['latest_seconds'])}; all taken in, {live['late_moved']:,} "
        "moved a feature"
    )
    rows = [
        ("History imported", f"{past['events']:,} events of {found['accounts']:,} accounts"),
        ("Model", f"{learned}, version {model['version']}"),
        ("Then live, one by one", f"{live['events']:,} events, {live['from'][:10]} to {live['to'][:10]}"),
        ("Throughput", f"{live['events_per_second']:,.0f} events/s, each on disk before it counts"),
        ("Accepted to score fresh", _latency(live["fresh_us"])),
        ("Sent to accepted (on disk)", _latency(live["append_us"])),
        ("Late events", late),
        ("Decisions recorded", f"{live['decisions']:,}, each chained to the one before"),
    ]
    return _section("Live", _table(rows))


def _worth(found: Json) -> Group:
    worth = found["worth"]
    if not worth["auc"]:
        return _section("What fresh is worth", Text("No outcomes of both kinds are known yet."))
    title = f"{worth['decisions']:,} decisions with known outcome, {worth['charged']:,} of them charged"
    return _section(f"What fresh is worth: {title}", _scores(worth["auc"]), _table(_mistakes(worth)))


def _scores(auc: Json) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("score")
    table.add_column("AUC", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, title in _SCORES.items():
        value, low, high = auc[name]
        table.add_row(title, f"{value:.4f}", _interval(low, high))
    gain, low, high = auc["gain"]
    table.add_row("fresh minus nightly", f"{gain:+.4f}", _interval(low, high, sign="+"))
    return table


_SCORES = {
    "true_risk": "true risk (the best possible)",
    "model": "Headwater, fresh",
    "nightly": "the same model, last night's batch",
}


def _mistakes(worth: Json) -> list[tuple[str, str]]:
    worst, charged, decisions = worth["bands"][-1], worth["charged"], worth["decisions"]
    fresh, nightly = worth["caught_fresh"], worth["caught_nightly"]
    other = f"{worth['other_band']:,} of {decisions:,} decisions ({_share(worth['other_band'], decisions)})"
    caught = f"fresh {fresh:,} ({_share(fresh, charged)}), nightly {nightly:,} ({_share(nightly, charged)})"
    missed = f"{worth['accounts_missed']:,} of {worth['accounts_charged']:,} charged accounts: '{worst}' when"
    same = f"{worth['replayed_same']:,} of {worth['refreshes']:,} feature vectors, to the bit"
    return [
        ("Stale: another band", f"{other}, {worth['too_mild']:,} too mild, {worth['too_harsh']:,} too harsh"),
        (f"Charged later, in '{worst}'", f"{caught} of {charged:,}"),
        ("Accounts missed at night", f"{missed} fresh, not yet by the night before"),
        ("Served equals replayed", same),
    ]


def _decision(found: Json) -> Group:
    told = found["decision"]
    if told is None:
        return _section("One decision", Text("No account entered the worst band."))
    when = told["decided_at"].replace("T", " ").replace("Z", " UTC")
    lines = [
        Text(
            f"Account {told['account']:,} on {when}: score {told['score']:.1%}, band '{told['band']}'. "
            f"Last night it stood at {told['nightly_score']:.1%}, '{told['nightly_band']}'."
        )
    ]
    for number, reason in enumerate(told["reasons"], 1):
        line = Text(f"  {number}. {reason['text']} ")
        line.append(f"({reason['feature']} {reason['value']}, usually {reason['usual']})", style="dim")
        lines.append(line)
    charged = told["charged_days_later"]
    if charged is not None:
        lines.append(Text(f"Sanction interest was charged {charged:.1f} days later."))
    again = told["replay"]
    lines.append(
        Text(
            f"Replayed from the log up to offset {told['offset']:,} ({again['events']:,} events of the "
            f"account, {again['features']} features): {'the same bits' if again['same'] else 'DIFFERENT'}."
        )
    )
    lines.append(Text(f"  score then {again['score_then']}, now {again['score_now']}", style="dim"))
    return _section("One decision", *lines)


def _work(found: Json) -> Group:
    table = Table(box=None, pad_edge=False, show_header=False)
    for stage in found["stages"]:
        table.add_row(
            stage["name"], f"{stage['wall']:6.1f} s", Text(f"{stage['cpu']:6.1f} s of processor", style="dim")
        )
    table.add_row(
        "together", f"{found['seconds']:6.1f} s", Text(f"{found['cpu_seconds']:6.1f} s", style="dim")
    )
    return _section(f"The work (everything lies in {found['folder']})", table)


def _section(title: str, *parts: Any) -> Group:
    return Group(Text(title, style="bold"), *(Padding(part, (0, 0, 0, 2)) for part in parts), Text())


def _table(rows: list[tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, text in rows:
        table.add_row(name, Text(text))
    return table


def _latency(spread: Json) -> str:
    return f"p50 {spread['p50']:,.0f} us, p99 {spread['p99']:,.0f} us"


def _interval(low: float | None, high: float | None, sign: str = "") -> str:
    return "-" if low is None or high is None else f"{low:{sign}.4f} to {high:{sign}.4f}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds < 2 * 86_400 else f"{seconds / 86_400:.1f} days"
