"""``headwater score``: scores of entities, now or at a past moment, from the log by replay."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.models import WHICH, open_model
from headwater.apps.cli.moments import moment_of
from headwater.apps.cli.scoring import score_at
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.versions import version_json, version_text
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.masking import masked, personal_inputs
from headwater.core.instant import iso


def pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """``column=value`` texts as a mapping."""
    split = [text.partition("=") for text in texts]
    if not all(equals for _, equals, _ in split):
        raise click.UsageError("--request takes column=value")
    return {name: value for name, _, value in split}


@click.command("score")
@click.argument("model", required=False)
@click.option(
    "--key", "keys", metavar="KEY", multiple=True, help="Only this entity. Repeatable.  [default: all]"
)
@click.option("--at", metavar="TIME", help="As of this time, or `newest`, the last arrival.  [default: now]")
@click.option(
    "--request", metavar="COLUMN=VALUE", multiple=True, help="A request column's value. Repeatable."
)
@WHICH
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Show the so many highest."
)
@click.option("--show-personal", is_flag=True, help="Show keys that are declared personal.")
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    model: str | None,
    keys: tuple[str, ...],
    at: str | None,
    request: tuple[str, ...],
    which: str,
    limit: int,
    show_personal: bool,
) -> None:
    """Score entities, now or at a past moment.

    The highest scores first. A score as of a past moment is what a decision would have seen then: events
    that had not arrived are not in it. JSON holds all scores, whatever the limit.
    """
    asked = pairs(request)
    opened = open_model(work, model, which)
    with work.reading() as log:
        moment = moment_of(at, work.clock.now(), log, screen)
        found = score_at(opened, log, moment, keys, asked)
        end = log.offset_at(moment)
    hidden = set() if show_personal else personal_inputs(opened.model)
    entity = opened.model.entity
    scored = sorted(zip(found.frame[entity], found.scores.tolist(), strict=True), key=lambda pair: -pair[1])
    rows = [
        {
            "entity": masked(entity, key, hidden),
            "score": score,
            "band": None if opened.policy is None else opened.policy.band(score),
        }
        for key, score in scored
    ]
    document: dict[str, Any] = {
        "model": opened.model.name,
        "key": entity,
        "version": version_json(opened.version),
        "at": iso(moment),
        "events_seen": end,
        "unknown": found.unknown,
        "scores": rows,
    }
    if screen.as_json:
        screen.write(document)
        return
    screen.say(f"{opened.model.name}, {version_text(document['version'])}, as of {document['at']}", "bold")
    screen.table(
        None,
        (entity, "score", "band"),
        [(str(row["entity"]), *list(row.values())[1:]) for row in rows[:limit]],
        ("score",),
    )
    if len(rows) > limit:
        screen.say(f"The highest {limit} of {len(rows):,}.")
    if found.unknown:
        screen.note(f"{found.unknown} of them had no event by then: scored as new")
