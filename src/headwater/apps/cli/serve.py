"""``headwater serve``: its options. The newest snapshot is being read while the server itself is imported.

Read ``serving`` next.
"""

from __future__ import annotations

from importlib import import_module

import click

from headwater.apps.cli.database.option import DATABASE, warn_of_password
from headwater.apps.cli.lazy import uncollected
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.settings import Settings, environment
from headwater.store.ahead import Ahead
from headwater.store.folder import DataFolder

_PORTS = 65_535


@click.command("serve")
@click.argument("file", required=False, metavar="[PROJECT]")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, _PORTS), default=8000, show_default=True, help="0: a free one."
)
@click.option(
    "--snapshot-every",
    type=click.FloatRange(1),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Keep the state so often.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="Of the JSON log on stderr; `info` has a line for each request.",
)
@DATABASE
@click.option(
    "--role",
    type=click.Choice(["all", "ingest", "decide"]),
    help="What this server does of the work.  [default: all]",
)
@click.option(
    "--online",
    metavar="URL",
    help="The online store, redis://host:port/db: publish states to it, or decide from it.",
)
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    file: str | None,
    host: str,
    port: int,
    snapshot_every: float,
    log_level: str,
    database: str | None,
    role: str | None,
    online: str | None,
) -> None:
    """Serve the project: events in, decisions out, over HTTP.

    Rises from the newest snapshot and the rest of the log; then takes events, keeps every score fresh,
    decides with reasons, and records each decision. With `--database`, records are shared by several servers
    (`headwater database upgrade` makes the tables). Ctrl-C finishes what was taken.

    With --online it publishes each key's state to Redis. Servers with --role decide have no log: they decide
    from there, as many of them as are needed.
    """
    given = click.get_current_context().params
    named = {"project": file or given["project"], "data": given["data"], "database": database}
    work = Workplace(Settings.read(**named), work.clock)
    warn_of_password(screen, database)
    with uncollected():  # until the server is there, and settles
        if (role or environment().get("HEADWATER_ROLE")) == "decide":
            decide = import_module("headwater.apps.cli.deciding").decide
            decide(work, screen, host, port, log_level, online)
        else:
            ahead = Ahead(DataFolder(work.settings.data).snapshots)
            serve = import_module("headwater.apps.cli.serving").serve
            serve(work, screen, host, port, snapshot_every, log_level, ahead, role, online)
