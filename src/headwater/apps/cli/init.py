"""``headwater init``: a project in a new folder, and events to try it with.

The files come from ``template``; the sample events from the simulated lender. Needs no project, no log and no
network.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import click

from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import JSON
from headwater.apps.demo.lender import simulate
from headwater.core.errors import DataError

_FILES = {
    "project.py": "project.py.txt",
    "README.md": "README.md.txt",
    ".gitignore": "gitignore.txt",
}
_SAMPLE = "transactions.csv"
_ACCOUNTS, _YEARS, _SEED = 200, 3, 7


@click.command("init")
@click.argument("folder")
@click.option("--name", help="The project's name.  [default: the folder's]")
@click.option("--no-sample", is_flag=True, help=f"Write no {_SAMPLE}.")
@JSON
def command(folder: str, name: str | None, no_sample: bool, as_json: bool) -> None:
    """Start a project in a new folder.

    Writes project.py, which is yours to change, a README, and transactions.csv: three years of bookings of
    200 simulated accounts, to try every other command with. A folder that holds anything is refused.
    """
    screen = Screen(as_json=as_json)
    home = Path(folder)
    chosen = name or _identifier(home.resolve().name)
    if not chosen.isidentifier():
        raise click.UsageError(f"--name takes letters, digits and underscores, not {chosen!r}")
    _need_empty(home)
    home.mkdir(parents=True, exist_ok=True)
    for file, template in _FILES.items():
        text = files("headwater.apps.cli").joinpath("template", template).read_text(encoding="utf-8")
        (home / file).write_text(text.replace("{{name}}", chosen), encoding="utf-8")
    written = list(_FILES)
    if not no_sample:
        events = simulate(_ACCOUNTS, _YEARS, _SEED).events["transactions"]
        events.write_csv(home / _SAMPLE, datetime_format="%Y-%m-%dT%H:%M:%SZ")
        written.append(_SAMPLE)
    if as_json:
        screen.write({"folder": str(home), "project": chosen, "files": written})
        return
    screen.say(f"The project {chosen} is in {home}: {', '.join(written)}.", "bold")
    screen.say("Go on with:")
    for line in (
        f"cd {home}",
        "headwater plan",
        *([] if no_sample else [f"headwater import {_SAMPLE}"]),
        "headwater train",
    ):
        screen.say(f"  {line}")


def _identifier(text: str) -> str:
    """A name from a folder's: ``My bank`` becomes ``my_bank``."""
    plain = re.sub(r"\W+", "_", text.lower()).strip("_")
    return plain if plain.isidentifier() else f"project_{plain}".rstrip("_")


def _need_empty(home: Path) -> None:
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise DataError.of(
            "a project is started in a new or empty folder",
            expected="a folder that does not exist, or is empty",
            got="a file" if not home.is_dir() else f"a folder that holds {len(list(home.iterdir()))} things",
            where=str(home),
            do="choose another folder",
        )
