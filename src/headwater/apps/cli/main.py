"""The root of the command line: ``headwater``.

Knows the commands by a table and imports none of them; ``headwater --help`` costs click and nothing else.
Read ``lazy`` for how they are loaded, ``failures`` for how they end.
"""

from __future__ import annotations

import sys
import warnings

import click

from headwater.apps.cli.failures import run
from headwater.apps.cli.lazy import LazyGroup
from headwater.apps.settings import debugging

_HERE = "headwater.apps.cli"

COMMANDS = {
    "init": (f"{_HERE}.init", "Start a project in a new folder."),
    "demo": (f"{_HERE}.demo", "Watch a simulated lender go live, measured."),
    "plan": (f"{_HERE}.plan", "Show what the project defines, and what changed."),
    "import": (f"{_HERE}.import_", "Bring events from files into the log."),
    "log": (f"{_HERE}.log", "Look at the event log and look after it."),
    "features": (f"{_HERE}.features", "Compute features as of the rows of a file."),
    "train": (f"{_HERE}.train", "Train, judge and register a model."),
    "evaluate": (f"{_HERE}.evaluate", "Judge a registered model on a stretch of the log."),
    "retrain": (f"{_HERE}.retrain", "Train a model again and register it as challenger."),
    "gate": (f"{_HERE}.gate", "Hold a candidate against the champion."),
    "promote": (f"{_HERE}.promote", "Make a version the champion."),
    "rollback": (f"{_HERE}.rollback", "Bring the earlier champion back."),
    "canary": (f"{_HERE}.canary", "Let the challenger answer a share of the decisions."),
    "shadow": (f"{_HERE}.shadow", "Show what challengers would have said of live decisions."),
    "serve": (f"{_HERE}.serve", "Serve the project: events in, decisions out, over HTTP."),
    "database": (
        f"{_HERE}.database",
        "Make the tables of a database that servers share, and see how they stand.",
    ),
    "stream": (f"{_HERE}.stream", "Keep scores fresh from Kafka: events in, scores out, exactly once."),
    "status": (
        f"{_HERE}.status",
        "Say how a running service is.",
    ),
    "decide": (f"{_HERE}.decide", "Ask a running service for a decision."),
    "score": (f"{_HERE}.score", "Score entities, now or at a past moment."),
    "explain": (f"{_HERE}.explain", "Say why an entity has its score."),
    "keys": (f"{_HERE}.keys", "Make, list, rotate and revoke API keys."),
    "audit": (f"{_HERE}.audit", "Prove the records of what was decided and administered."),
    "replay": (f"{_HERE}.replay", "Make past decisions again from the log."),
    "backtest": (f"{_HERE}.backtest", "See which past decisions would come out otherwise."),
    "bench": (f"{_HERE}.bench", "Measure a service where it runs."),
    "late": (f"{_HERE}.late", "Show late events and what they would have changed."),
    "drift": (f"{_HERE}.drift", "Compare what was served with what was usual in training."),
    "outcomes": (f"{_HERE}.outcomes", "Show how good decisions were, measured and estimated, by week."),
    "fairness": (f"{_HERE}.fairness", "Compare how decisions fall on the groups of an attribute."),
    "report": (f"{_HERE}.report", "Write one page on how the project is, as HTML or PDF, or mail it."),
    "card": (f"{_HERE}.card", "Write the model card of a version."),
    "alerts": (f"{_HERE}.alerts", "See, acknowledge, check and test alerts."),
    "jobs": (f"{_HERE}.jobs", "List, run and show what is done by the clock."),
    "lake": (f"{_HERE}.lake", "Export events and decisions as tables for analysts."),
    "airflow": (f"{_HERE}.airflow", "Let Airflow run the jobs of the project."),
}

cli = click.version_option(package_name="headwater", message="headwater %(version)s")(
    LazyGroup(
        "headwater",
        "Events in, decisions out: always fresh, always explained, replayable bit for bit.",
        COMMANDS,
    )
)


def main() -> None:
    """The console script."""
    debug = debugging()
    if not debug:
        warnings.simplefilter("ignore")  # what matters to the user comes as a note of ours
    sys.exit(run(cli, sys.argv[1:], debug=debug))


if __name__ == "__main__":
    main()
