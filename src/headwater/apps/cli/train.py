"""``headwater train``: from the log to a registered model, with figures."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import click

from headwater.apps.cli.models import print_evaluation, registry_of
from headwater.apps.cli.moments import MOMENT, SPAN
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.sparking import FORMATS, Lake, past_on_spark
from headwater.apps.cli.versions import version_text
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.definitions.finding import find_model
from headwater.training.report import report
from headwater.training.train import Plan, train

_MOST = 10


@click.command("train")
@click.argument("model", required=False)
@click.option("--from", "start", type=MOMENT, help="Only observations from this time on.")
@click.option("--to", "end", type=MOMENT, help="Only observations before this time.")
@click.option("--known-by", type=MOMENT, help="As if nothing later had arrived.")
@click.option(
    "--test-from", type=MOMENT, help="Judge on the observations from here on.  [default: the last quarter]"
)
@click.option("--test-until", type=MOMENT, help="Judge on the observations before this time.")
@click.option(
    "--test-share", type=float, default=0.25, show_default=True, help="If --test-from is not given."
)
@click.option(
    "--window", type=SPAN, help="Learn from so long a time, such as 730d.  [default: as the model says]"
)
@click.option(
    "--leave-known", is_flag=True, help="Judge no entity that is already known to be positive that day."
)
@click.option(
    "--cards-at", metavar="K", type=click.IntRange(1), multiple=True, help="Card precision at K. Repeatable."
)
@click.option(
    "--bootstrap", type=click.IntRange(0), default=200, show_default=True, help="Resamples for intervals."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="For what is left to chance."
)
@click.option("--no-register", is_flag=True, help="Record and register nothing.")
@click.option(
    "--on",
    "engine",
    type=click.Choice(("embedded", "spark")),
    default="embedded",
    show_default=True,
    help="Who builds the training set.",
)
@click.option("--master", metavar="URL", help="Where Spark runs, such as local[4].  [default: as it is set]")
@click.option(
    "--events", metavar="FOLDER", help="A table a stream for Spark, FOLDER/STREAM.  [default: the log]"
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="parquet",
    show_default=True,
    help="Of the tables.",
)
@click.option("--arrival", default="arrived_at", show_default=True, help="Their column; empty for none.")
@click.option("--order", default="offset", show_default=True, help="Their column; empty for none.")
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    model: str | None,
    no_register: bool,
    engine: str,
    master: str | None,
    events: str | None,
    form: str,
    arrival: str,
    order: str,
    **options: Any,
) -> None:
    """Train, judge and register a model.

    MODEL may be left out where the project has one. The training set is built by replay: each row holds
    what had arrived by its time. The model learns from the past, waits as long as a label takes to be
    known, and is judged on what came then. The first version of a model becomes champion, each later one
    challenger.
    """
    chosen = find_model(work.project, model)
    plan = Plan(**options)
    if engine == "spark":
        opened: AbstractContextManager[Any] = past_on_spark(
            work, chosen, master, Lake(events, form, arrival, order)
        )
    else:
        _for_spark_alone(master=master, events=events)
        opened = work.reading()
    with opened as past, screen.progress(one_bar=True) as progress:
        registry = None if no_register else registry_of(work)
        trained = train(
            work.project, chosen.name, past, registry, now=work.clock.now(), plan=plan, progress=progress
        )
    if registry is not None:
        work.apply()
    document = {**report(trained), "registry": None if registry is None else registry.uri}
    if screen.as_json:
        screen.write(document)
    else:
        _print(screen, document, trained.training_set.manifest.summary())


def _for_spark_alone(**options: str | None) -> None:
    for name, value in options.items():
        if value is not None:
            raise click.UsageError(f"--{name} is for --on spark")


def _print(screen: Screen, document: dict[str, Any], summary: str) -> None:
    rows = document["rows"]
    screen.say(f"{document['model']}: {document['estimator']}, scored as {document['scorer']}", "bold")
    screen.say(summary)
    screen.say(
        f"Learned from {rows['train']:,} rows, judged on {rows['test']:,} from {rows['test_from']} on;"
        f" between them a gap of {rows['gap']}, as long as a label takes to be known."
    )
    screen.say()
    print_evaluation(screen, document["evaluation"])
    moved = list(document["importance"].items())[:_MOST]
    screen.table(
        "What moved the score most", ("input", "mean contribution"), moved, numbers=("mean contribution",)
    )
    for note in document["notes"]:
        screen.note(note)
    if document["version"] is None:
        screen.say("Nothing was registered.")
        return
    screen.say(f"Registered as {document['model']}, {version_text(document['version'])}.", "bold")
    screen.say(f"See it with: mlflow ui --backend-store-uri {document['registry']}")
