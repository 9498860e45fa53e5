"""``headwater keys rotate``: a new secret; the old one is good for a while more."""

from __future__ import annotations

from pathlib import Path

import click

from headwater.apps.cli.keys.keyring import (
    actor,
    ends_at,
    keys_of,
    secret_file,
    show_secret,
    told,
)
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.core.instant import span

_NONE = ("0", "0s")


@click.command("rotate")
@click.argument("key")
@click.option(
    "--grace",
    metavar="SPAN",
    default="24h",
    show_default=True,
    help="How long the present secret is still taken; 0s ends it now.",
)
@click.option("--expires", metavar="WHEN", help="A new end: a span, a date or a time.  [default: as it is]")
@click.option("--secret-file", "file", metavar="FILE", help="Write the secret there instead of showing it.")
@at_workplace
def command(
    work: Workplace, screen: Screen, key: str, grace: str, expires: str | None, file: str | None
) -> None:
    """Give an API key a new secret.

    Named by its id or its name. Roles and limits stay. Two secrets are good at a time, at most: rotating
    again within the grace ends the older one. Show the new one to whoever uses the key before the grace is
    over.
    """
    now = work.clock.now()
    end = ends_at(expires, now)
    path: Path | None = None
    with secret_file(file) as kept, keys_of(work) as store:
        rotated, secret = store.rotate(
            key, now=now, actor=actor(), grace=0 if grace in _NONE else span(grace), expires=end
        )
        if kept is not None:
            kept.write(secret)
            path = kept.path
    document = told(rotated, now)
    show_secret(screen, document, secret, path)
    screen.note(f"The secret before is good until {document['old_until']}.")
