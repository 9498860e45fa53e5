"""``headwater keys create``: a new API key; its secret is shown once."""

from __future__ import annotations

import click

from headwater.apps.cli.keys.keyring import actor, ends_at, keys_of, secret_file, show_secret, told
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.store.credentials import Role


@click.command("create")
@click.argument("name")
@click.option(
    "--role",
    "roles",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    required=True,
    help="What it may do: send events, ask for decisions, read, or everything. Repeatable.",
)
@click.option(
    "--expires", metavar="WHEN", help="A span such as 90d, a date, or a time.  [default: it never ends]"
)
@click.option(
    "--rate",
    type=click.FloatRange(0),
    metavar="N",
    help="Requests a second that it may send; 0 for no limit.  [default: as the server's HEADWATER_RATE]",
)
@click.option("--secret-file", "file", metavar="FILE", help="Write the secret there instead of showing it.")
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    name: str,
    roles: tuple[str, ...],
    expires: str | None,
    rate: float | None,
    file: str | None,
) -> None:
    """Make an API key, and show its secret once.

    Only a hash of the secret is kept. Send it as `Authorization: Bearer <secret>`. A server that runs takes
    the key at once.
    """
    now = work.clock.now()
    end = ends_at(expires, now)
    with secret_file(file) as kept, keys_of(work) as store:
        key, secret = store.create(
            name, [Role(role) for role in roles], now=now, actor=actor(), expires=end, rate=rate
        )
        if kept is not None:
            kept.write(secret)
    show_secret(screen, told(key, now), secret, None if kept is None else kept.path)
