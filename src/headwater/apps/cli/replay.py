"""``headwater replay``: past decisions made again, to the bit, or with something exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from headwater.apps.archive import Archive, Exchange
from headwater.apps.cli.exits import Exit
from headwater.apps.cli.records import (
    DEFINITIONS,
    PERSONAL,
    WITH,
    Hidden,
    archive_of,
    decisions_of,
    exchange_of,
    keys_text,
    of_folder,
)
from headwater.apps.cli.replay_from_kafka import from_kafka
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.core.instant import iso
from headwater.log.protocol import EventLog
from headwater.serving.decide import Decider
from headwater.serving.replay import Replayed, replay_many
from headwater.store.decisions import Record
from headwater.store.protocol import Decisions

_MOST = 20


@click.command("replay")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@WITH
@DEFINITIONS
@click.option("--last", metavar="N", type=click.IntRange(1), help="The newest N decisions, in place of IDs.")
@click.option(
    "--records",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Whose decisions: the data folder of a server that only decides.  [default: the data folder]",
)
@click.option(
    "--kafka",
    "brokers",
    metavar="BROKERS",
    help="Decisions that rest on Kafka's topics: host:port, commas between several.",
)
@PERSONAL
@at_workplace
def command(
    work: Workplace,
    screen: Screen,
    ids: tuple[str, ...],
    exchange: tuple[str, ...],
    definitions: str | None,
    last: int | None,
    records: Path | None,
    brokers: str | None,
    show_personal: bool,
) -> None:
    """Make past decisions again from the log.

    An ID is that of a decision, such as d17. Its features are rebuilt from the events up to its place in the
    log, its model scores them and its policy decides: every bit must be the same, or it ends with 7. With
    something exchanged, what differs is told with its cause, in this order: data, definition, model, policy.
    What decided is taken from the data folder, whatever the project file says today.
    """
    if bool(ids) == (last is not None):
        raise click.UsageError("name decisions by their ids, or the newest ones with --last N")
    other = exchange_of(exchange, definitions)
    work = of_folder(work, screen)
    archive = archive_of(work)
    with decisions_of(_whose(work, records)) as store:
        decided = _records(store, ids, last)
    if brokers is None:
        with work.reading() as log:
            found = _replayed(decided, log, archive, other)
    else:
        found = from_kafka(work, brokers, decided, partial(_replayed, archive=archive, other=other))
    hidden = Hidden(work.project, show=show_personal)
    told = [_told(record, one, hidden) for record, one in zip(decided, found, strict=True)]
    alarm = other.nothing and not all(one.same for one in found)
    if screen.as_json:
        given = [*exchange, *([f"definitions={definitions}"] if definitions else [])]
        screen.write({"with": given, "same": sum(one.same for one in found), "replayed": told})
    else:
        _print(screen, told, proof=other.nothing)
    if alarm:
        click.get_current_context().exit(Exit.UNPROVEN)


def _whose(work: Workplace, folder: Path | None) -> Workplace:
    """Where the decisions lie; the log is that of the workplace itself."""
    return (
        work if folder is None else Workplace(replace(work.settings, data=folder, database=None), work.clock)
    )


def _records(store: Decisions, ids: tuple[str, ...], last: int | None) -> list[Record]:
    if last is not None:
        return store.page(newest=True, limit=last)
    return [store.get(id) for id in ids]


def _replayed(records: Sequence[Record], log: EventLog, archive: Archive, other: Exchange) -> list[Replayed]:
    """In the order of the records; one pass over the log for each model and policy."""
    deciders: dict[int, Decider] = {}
    places: dict[int, list[int]] = {}
    for place, record in enumerate(records):
        decider = archive.decider(record.decision, other)
        deciders[id(decider)] = decider
        places.setdefault(id(decider), []).append(place)
    found: dict[int, Replayed] = {}
    for which, mine in places.items():
        decisions = [records[place].decision for place in mine]
        made = replay_many(decisions, log, deciders[which], own=archive.own)
        found |= dict(zip(mine, made, strict=True))
    return [found[place] for place in range(len(records))]


def _told(record: Record, found: Replayed, hidden: Hidden) -> dict[str, Any]:
    then, now = record.decision, found.now
    secret = hidden.inputs(then.model)
    return {
        "decision": record.id,
        "model": then.model,
        "keys": hidden.keys(then.model, then.keys),
        "time": iso(then.time),
        "offset": then.offset,
        **({"places": dict(then.places)} if then.places else {}),
        "events": found.events,
        "same": found.same,
        "then": {"score": then.score, "band": then.band},
        "now": {"score": now.score, "band": now.band},
        "differences": [
            {
                "what": one.what,
                "cause": one.cause,
                **({} if _secret(one.what, secret) else {"then": one.then, "now": one.now}),
            }
            for one in found.differences
        ],
        "words": list(found.words(secret)),
    }


def _secret(what: str, hidden: set[str]) -> bool:
    """Reasons quote the values of features."""
    return any(f"{name!r}" in what for name in hidden) or (bool(hidden) and what == "the reasons")


def _print(screen: Screen, told: list[dict[str, Any]], *, proof: bool) -> None:
    for one in [one for one in told if not one["same"] or len(told) == 1][:_MOST]:
        entity = keys_text(one["keys"])
        screen.say(f"{one['decision']}, {one['model']}, {entity}, as of {one['time']}", "bold")
        places = ", ".join(f"{place} offset {last:,}" for place, last in one.get("places", {}).items())
        end = places or f"log offset {one['offset']:,}"
        rested = f"It rested on {one['events']:,} events, up to {end}."
        screen.say(
            f"{rested} Then {one['then']['score']:.4f} {one['then']['band']},"
            f" now {one['now']['score']:.4f} {one['now']['band']}."
        )
        for sentence in one["words"]:
            screen.say(f"  {sentence}")
        screen.say()
    same = sum(one["same"] for one in told)
    if len(told) > 1:
        screen.say(f"{same:,} of {len(told):,} decisions are the same to the bit.", "bold")
    if proof and same < len(told):
        screen.say("This must not be: run `headwater log verify` and `headwater audit verify`.", "bold red")
