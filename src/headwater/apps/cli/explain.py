"""``headwater explain``: one entity's score, its band and the reasons in words."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from headwater.apps.cli.models import WHICH, Opened, open_model
from headwater.apps.cli.moments import moment_of
from headwater.apps.cli.score import pairs
from headwater.apps.cli.scoring import Scored, score_at
from headwater.apps.cli.screen import Screen, shown
from headwater.apps.cli.versions import version_json, version_text
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.masking import masked, personal_inputs
from headwater.core.errors import DataError
from headwater.core.instant import iso
from headwater.models.inputs import Inputs
from headwater.serving.reasons import reasons

_MOST = 10


@click.command("explain")
@click.argument("model", required=False)
@click.option("--key", required=True, metavar="KEY", help="The entity.")
@click.option("--at", metavar="TIME", help="As of this time, or `newest`, the last arrival.  [default: now]")
@click.option(
    "--request", metavar="COLUMN=VALUE", multiple=True, help="A request column's value. Repeatable."
)
@WHICH
@click.option("--show-personal", is_flag=True, help="Show values that are declared personal.")
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    model: str | None,
    key: str,
    at: str | None,
    request: tuple[str, ...],
    which: str,
    show_personal: bool,
) -> None:
    """Say why an entity has its score.

    The reasons are the policy's texts for the inputs that moved the score towards the worse, the strongest
    first, at most four; inputs that share a text are one reason. Each comes with the input's value and what
    was usual in training. Below stand the contributions that add up to the score.
    """
    asked = pairs(request)
    opened = open_model(work, model, which)
    with work.reading() as log:
        moment = moment_of(at, work.clock.now(), log, screen)
        found = score_at(opened, log, moment, [key], asked)
    if not len(found.scores):
        raise DataError.of(
            "no event of this entity was observed, so its request columns are not known",
            expected=", ".join(opened.model.request),
            where=opened.model.name,
            do="give the columns with --request column=value",
        )
    hidden = set() if show_personal else personal_inputs(opened.model)
    document = _document(opened, found, hidden) | {"at": iso(moment)}
    if screen.as_json:
        screen.write(document)
    else:
        _print(screen, document)


def _document(opened: Opened, found: Scored, hidden: set[str]) -> dict[str, Any]:
    scoring, x, score = opened.scoring, found.X[0], float(found.scores[0])
    moved, base = scoring.contributions(x)
    entity, inputs = opened.model.entity, scoring.artifact.inputs
    told = [] if opened.policy is None else reasons(opened.policy, scoring, x)
    return {
        "model": opened.model.name,
        "key": entity,
        "version": version_json(opened.version),
        "entity": masked(entity, found.frame[entity][0], hidden),
        "unknown": bool(found.unknown),
        "score": score,
        "band": None if opened.policy is None else opened.policy.band(score),
        "space": scoring.scorer.space,
        "base": base,
        "reasons": [
            {
                "text": reason.text,
                "feature": reason.feature,
                "value": masked(reason.feature, reason.value, hidden),
                "reference": reason.reference,
                "contribution": reason.contribution,
            }
            for reason in told
        ],
        "contributions": [
            {
                "input": scoring.names[place],
                "value": masked(scoring.names[place], _value(inputs, scoring.names[place], x[place]), hidden),
                "contribution": float(moved[place]),
            }
            for place in np.argsort(-np.abs(moved), kind="stable")
        ],
    }


def _value(inputs: Inputs, name: str, value: float) -> float | str | None:
    if name in inputs.categories:
        return inputs.text(name, value)
    return None if np.isnan(value) else float(value)


def _print(screen: Screen, document: dict[str, Any]) -> None:
    screen.say(f"{document['model']}, {version_text(document['version'])}, as of {document['at']}", "bold")
    band = "" if document["band"] is None else f": {document['band']}"
    screen.say(f"{document['key']} {document['entity']} has a score of {document['score']:.4f}{band}", "bold")
    if document["unknown"]:
        screen.note("it had no event by then: scored as new")
    screen.say()
    for number, reason in enumerate(document["reasons"], 1):
        usual = "" if reason["reference"] is None else f", usually {shown(reason['reference'])}"
        screen.say(f"  {number}. {reason['text']}  ({reason['feature']} is {shown(reason['value'])}{usual})")
    if not document["reasons"]:
        screen.say("  Nothing out of the ordinary raised the score.")
    screen.say()
    rows = [(one["input"], one["value"], f"{one['contribution']:+.4f}") for one in document["contributions"]]
    title = f"Contributions to the score ({document['space']}), from a base of {document['base']:+.4f}"
    screen.table(title, ("input", "value", "contribution"), rows[:_MOST], numbers=("value", "contribution"))
    if len(rows) > _MOST:
        screen.say(f"The largest {_MOST} of {len(rows)}.")
