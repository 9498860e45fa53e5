"""``headwater drift``: what was served, beside what was usual in training."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.exits import Exit
from headwater.apps.cli.moments import SPAN
from headwater.apps.cli.screen import Screen, plain
from headwater.apps.cli.watching import (
    FROM,
    LAST,
    NOT_KEPT,
    REPLAY,
    TO,
    VERSION,
    number_or_alias,
    place_of,
    stretch,
)
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.watching.drift import drift, keep
from headwater.core.instant import DAY, WEEK, iso

_QUIET = 12  # features that are shown without --all


@click.command("drift")
@click.argument("model", required=False)
@FROM
@TO
@LAST
@REPLAY
@VERSION
@click.option("--every", type=SPAN, default="1d", help="How often you look.  [default: 1d]")
@click.option("--all", "everything", is_flag=True, help="Show every feature, also the quiet ones.")
@NOT_KEPT
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    model: str | None,
    start: int | None,
    stop: int | None,
    last: int | None,
    which: str,
    every: int,
    replay: bool,
    everything: bool,
    no_keep: bool,
) -> None:
    """Compare what was served with what was usual in training.

    Looks at the decisions of the last 7 days, or of the stretch that is named, by the time that they are as
    of: each feature, the score with the features that moved it, and the streams. --every says how often you
    look, since the verdict allows one false alarm in a hundred months. The report is kept in the data folder;
    the same window with the same findings is kept once. Ends with 9 if the verdict is an alarm, so that a
    script can go on from there.
    """
    now = work.clock.now()
    begin, end = stretch(start, stop, last, now=now, usual=WEEK)
    place = place_of(work)
    with work.reading() as log:
        found = drift(
            place,
            log,
            begin,
            end,
            model=model,
            which=number_or_alias(which),
            source="log" if replay else "decisions",
            every=every or DAY,
        )
    kept = None if no_keep else keep(place, found, now=now)
    document = plain(found.to_json())
    if screen.as_json:
        screen.write({**document, **_times(document), "report": None if kept is None else kept.number})
    else:
        _print(screen, document, everything=everything)
    if found.report.level == "alarm":
        click.get_current_context().exit(Exit.ALARM)


def _times(document: dict[str, Any]) -> dict[str, str]:
    return {"from": iso(document["start"]), "to": iso(document["stop"])}


def _print(screen: Screen, document: dict[str, Any], *, everything: bool) -> None:
    span = f"{iso(document['start'])} to {iso(document['stop'])}"
    what = "decisions" if document["source"] == "decisions" else "observations"
    styles = {"alarm": "bold red", "watch": "bold yellow", "quiet": "bold green"}
    screen.say(
        f"{document['model']}, version {document['version']}: {document['level']}",
        styles.get(document["level"], "bold"),
    )
    screen.say(f"{document['rows']:,} {what} of {document['entities']:,} entities, {span}.")
    for one in document["findings"]:
        screen.say(f"  {one['level']}: {one['subject']} {one['words']}")
    screen.say()
    _features(screen, document, everything=everything)
    if document["score_drift"] is not None:
        screen.say(document["score_drift"]["words"])
        screen.say()
    _streams(screen, document["streams"])
    for note in [*document["notes"], *document["unjudged"]]:
        screen.note(note)


def _features(screen: Screen, document: dict[str, Any], *, everything: bool) -> None:
    score = [] if document["score"] is None else [document["score"]]
    features = document["features"]
    loud = sum(one["level"] in ("alarm", "watch") for one in features)
    shown = features if everything else features[: max(loud, _QUIET)]
    measures = ("psi", "ks", "js", "missing", "usual_missing", "unseen", "median", "usual_median")
    rows = [(one["name"], _verdict(one), *(one[name] for name in measures)) for one in [*score, *shown]]
    columns = (
        "feature",
        "verdict",
        "PSI",
        "KS",
        "JS",
        "missing",
        "in training",
        "unseen",
        "median",
        "before",
    )
    screen.table(None, columns, rows, numbers=columns[2:])
    if len(shown) < len(features):
        few = sum(one["level"] == "too few" for one in features[len(shown) :])
        quiet = "quiet" if not few else f"quiet or, {few:,} of them, with too few rows"
        screen.say(f"{len(features) - len(shown):,} more features, all {quiet}: --all shows them.")
        screen.say()


def _verdict(one: dict[str, Any]) -> str:
    """The level; of a feature that got no verdict on its distribution, why."""
    level, why = str(one["level"]), one["unjudged"]
    return level if why is None else str(why) if level == "too few" else f"{level}; {why}"


def _streams(screen: Screen, streams: list[dict[str, Any]]) -> None:
    rows = [
        (
            one["name"],
            one["level"],
            one["events"],
            one["expected"],
            one["lateness"],
            one["usual_lateness"],
        )
        for one in streams
    ]
    if rows:
        columns = ("stream", "verdict", "events", "usual", "late by (s)", "usually (s)")
        screen.table("Streams, in whole days", columns, rows, numbers=columns[2:])
