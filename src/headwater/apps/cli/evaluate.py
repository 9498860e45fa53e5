"""``headwater evaluate``: what a registered model is worth on a stretch of the log."""

from __future__ import annotations

from typing import Any

import click

from headwater.apps.cli.models import WHICH, Opened, open_model, print_evaluation
from headwater.apps.cli.moments import MOMENT
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.versions import version_json, version_text
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.core.instant import iso
from headwater.training.dataset import TrainingSet, build
from headwater.training.evaluate import judge


@click.command("evaluate")
@click.argument("model", required=False)
@WHICH
@click.option("--from", "start", type=MOMENT, help="Only observations from this time on.")
@click.option("--to", "end", type=MOMENT, help="Only observations before this time.")
@click.option(
    "--cards-at", metavar="K", type=click.IntRange(1), multiple=True, help="Card precision at K. Repeatable."
)
@click.option(
    "--bootstrap", type=click.IntRange(0), default=200, show_default=True, help="Resamples for intervals."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the resamples.")
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    model: str | None,
    which: str,
    start: int | None,
    end: int | None,
    **options: Any,
) -> None:
    """Judge a registered model on a stretch of the log.

    Builds the rows of that stretch by replay, scores them as a decision would, and compares with what came
    true. Rows whose label is not known yet do not count. Name a stretch that the model has not learned
    from.
    """
    opened = open_model(work, model, which)
    with work.reading() as log:
        rows = build(opened.model, log, start, end)
    judged = judge(opened.scoring.artifact, opened.scoring.scorer, rows, policy=opened.policy, **options)
    document = _document(opened, rows) | {
        "evaluation": judged.evaluation.to_json(),
        "importance": judged.importance,
    }
    if screen.as_json:
        screen.write(document)
        return
    screen.say(f"{document['model']}, {version_text(document['version'])}", "bold")
    screen.say(rows.manifest.summary())
    print_evaluation(screen, document["evaluation"])
    if document["seen"]:
        screen.note(
            f"{document['seen']:,} of these rows were observed up to {document['built_until']}, the end of"
            " the set that this model came from; it may have learned from them"
        )


def _document(opened: Opened, rows: TrainingSet) -> dict[str, Any]:
    built = int(opened.scoring.artifact.manifest["mature_until"])
    return {
        "model": opened.model.name,
        "version": version_json(opened.version),
        "from": iso(int(rows.times[0])),
        "to": iso(int(rows.times[-1])),
        "built_until": iso(built),
        "seen": int((rows.times <= built).sum()),
        "manifest": {**rows.manifest.to_json(), "digest": rows.manifest.digest},
    }
