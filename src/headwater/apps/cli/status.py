"""``headwater status``: how a running service is."""

from __future__ import annotations

import click
import msgspec

from headwater.apps.cli.remote import WHERE, service
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import JSON


@click.command("status")
@WHERE
@JSON
def command(url: str, as_json: bool) -> None:
    """Say how a running service is.

    Its models, how far it is with the log, and what it refused.
    """
    screen = Screen(as_json=as_json)
    with service(url) as client:
        ready, models, letters = client.ready(), client.models().models, client.dead_letters(limit=1)
    if as_json:
        parts = {"ready": ready, "models": models, "dead_letters": letters.counts}
        screen.write(msgspec.to_builtins({"url": url, **parts}))
        return
    screen.say(f"{url} is {ready.status}", "bold")
    screen.say(f"  scores rest on the log up to offset {ready.offset:,}; {ready.waiting:,} events wait")
    for model in models:
        told = f"version with seal {model.digest[:12]}" if model.digest else "not trained yet"
        screen.say(f"  model {model.name}: {told}, {len(model.inputs)} inputs")
    for reason, count in letters.counts.items():
        screen.say(f"  {count:,} events refused: {reason}")
