"""``headwater demo``: the simulated lender, from raw events to explained decisions (``apps.demo.run``)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from rich.console import Console

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.serving import serve
from headwater.apps.cli.workplace import JSON, Workplace
from headwater.apps.demo.run import run_demo
from headwater.apps.settings import Settings


@click.command("demo")
@click.option("--folder", help="Work in this folder, and keep it.  [default: a temporary one]")
@click.option(
    "--accounts", type=click.IntRange(1), default=4_000, show_default=True, help="Customers of the lender."
)
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Of the simulation.")
@click.option("--keep", is_flag=True, help="Keep the temporary folder, to look around in it.")
@click.option("--serve", "then_serve", is_flag=True, help="End by serving the lender's project over HTTP.")
@JSON
def command(
    folder: str | None, accounts: int, seed: int, keep: bool, then_serve: bool, as_json: bool
) -> None:
    """Watch a simulated lender go live, measured.

    Simulates a lender, imports its events, trains on the past, replays the last months event by event
    through the durable log as if live, and ends with a page of figures. Every figure is measured in this
    run. Needs no file and no network.
    """
    screen = Screen(as_json=as_json)
    if folder is not None or keep:
        home = Path(folder or tempfile.mkdtemp(prefix="headwater-demo-"))
        _run(screen, home, accounts, seed, then_serve=then_serve)
        screen.note(f"the project is in {home}: look around with `headwater plan --project {home}`")
        return
    with tempfile.TemporaryDirectory(prefix="headwater-demo-") as space:
        _run(screen, Path(space), accounts, seed, then_serve=then_serve)


def _run(screen: Screen, folder: Path, accounts: int, seed: int, *, then_serve: bool) -> None:
    console = Console(stderr=screen.as_json, highlight=False)
    page = run_demo(folder, accounts=accounts, seed=seed, console=console, as_json=screen.as_json)
    if screen.as_json:
        screen.write(page)
    if then_serve:
        serve(Workplace(Settings.read(project=str(folder))), screen)
