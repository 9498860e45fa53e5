"""``headwater audit verify``: are the records what was written, and do decisions come out again?

Exit code 7 if not. Every part is looked at, whatever was found in the parts before it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import click

from headwater.apps.anchors import missing
from headwater.apps.cli.exits import Exit
from headwater.apps.cli.records import archive_of
from headwater.apps.cli.screen import Screen
from headwater.apps.cli.workplace import Workplace, at_workplace
from headwater.apps.stores import Records, records_of
from headwater.core.errors import HeadwaterError, Problem
from headwater.log.embedded import EmbeddedLog
from headwater.serving.decide import Decider
from headwater.serving.replay import Deciders, Replayed, replay_many
from headwater.store.audit import AuditTrail
from headwater.store.credentials import CredentialStore
from headwater.store.decisions import Record
from headwater.store.definitions import DefinitionStore
from headwater.store.folder import DataFolder
from headwater.store.protocol import Decisions

TOGETHER = 5_000  # decisions that are held in memory, and derived with one pass over the log
_LINK = 32  # bytes


class _Sample(click.ParamType[int]):
    name = "sample"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """A number of decisions; -1 for all."""
        if isinstance(value, int):
            return value
        if str(value) == "all":
            return -1
        if not (str(value).isascii() and str(value).isdecimal()):
            self.fail("say how many, or all", param, ctx)
        return int(value)


class _Link(click.ParamType[bytes]):
    name = "link"

    def convert(self, value: Any, param: Any, ctx: Any) -> bytes:
        """A link of a chain, 64 hex digits."""
        try:
            found = value if isinstance(value, bytes) else bytes.fromhex(str(value))
        except ValueError:
            found = b""
        if len(found) != _LINK:
            self.fail("a link has 64 hex digits", param, ctx)
        return found


@dataclass
class _Found:
    """What came out."""

    trail: dict[str, Any] | None = None
    shared: dict[str, Any] | None = None
    keys: int | None = None
    shared_keys: int | None = None
    decisions: dict[str, Any] | None = None
    definitions: int | None = None
    replayed: dict[str, Any] | None = None
    problems: list[Problem] = field(default_factory=list)
    met: set[bytes] = field(default_factory=set)


@click.command("verify")
@click.option(
    "--replay", "sample", type=_Sample(), metavar="N|all", default=0, help="Derive so many decisions again."
)
@click.option("--seed", type=int, metavar="NUMBER", help="Draw the same sample again.  [default: drawn]")
@click.option(
    "--link",
    "links",
    type=_Link(),
    multiple=True,
    metavar="HEX",
    help="A link that was noted elsewhere and must still be there. Repeatable.",
)
@at_workplace
def command(work: Workplace, screen: Screen, sample: int, seed: int | None, links: tuple[bytes, ...]) -> None:
    """Prove that decisions, acts and keys are what was written.

    Follows the hash chains of the decision records and of the audit trail from the first to the last, and
    holds the table of API keys against the trail, and kept definitions against their hashes. With `--replay`,
    decisions are derived again from the log, a random sample or all: the same bits, or not proven. Ends with
    7 if anything is otherwise than it was written. The last links are shown: noted elsewhere and given with
    `--link` the next time, they prove that nothing was cut off or written anew since.
    """
    with records_of(work.settings.data, work.settings.database) as records:
        found = _looked(work, screen, records, sample, seed, links)
    _tell(screen, found)
    if found.problems:
        click.get_current_context().exit(Exit.UNPROVEN)


def _looked(
    work: Workplace,
    screen: Screen,
    records: Records,
    sample: int,
    seed: int | None,
    links: tuple[bytes, ...],
) -> _Found:
    """Everything, whatever was found in the parts before."""
    folder = DataFolder(work.settings.data)
    found = _Found()
    if folder.access.is_file():
        _administered(found, folder, links)
    if records.shared:
        with _noting(found), records.trail() as trail:
            walk = trail.verify(links)
            found.shared = {"entries": walk.count, "link": walk.head.hex()}
            found.met |= walk.found
        with _noting(found), records.credentials() as keys:
            found.shared_keys = keys.verify()
    if records.decided():
        _decided(found, records, links)
    if folder.definitions.is_file():
        with _noting(found), DefinitionStore.open(folder.definitions) as store:
            found.definitions = store.verify()
    whole = found.shared if records.shared else found.trail
    if whole is not None and (found.decisions is not None or not records.decided()):
        _anchored(found, records)
    found.problems += [
        Problem(
            "a link that was noted is in no chain", expected=one.hex(), do="the records were rewritten or cut"
        )
        for one in links
        if one not in found.met
    ]
    if sample and found.decisions is not None:
        _derive(
            work,
            screen,
            found,
            records,
            sample,
            random.SystemRandom().getrandbits(32) if seed is None else seed,
        )
    return found


def _administered(found: _Found, folder: DataFolder, links: tuple[bytes, ...]) -> None:
    with _noting(found), AuditTrail.open(folder.access) as trail:
        walk = trail.verify(links)
        found.trail = {"entries": walk.count, "link": walk.head.hex()}
        found.met |= walk.found
    with _noting(found), CredentialStore.open(folder.access) as store:
        found.keys = store.verify()


def _decided(found: _Found, records: Records, links: tuple[bytes, ...]) -> None:
    with _noting(found), records.decisions() as store:
        count = store.verify()
        last = store.get(count).chain.hex() if count else None
        found.decisions = {"records": count, "link": last}
        if links:
            found.met |= {record.chain for record in store if record.chain in links}


def _anchored(found: _Found, records: Records) -> None:
    """Decisions against the anchors in the trail, once each of the two was found whole."""
    with _noting(found), records.trail() as trail:
        if not records.decided():
            found.problems += missing(trail, None)
            return
        with records.decisions() as store:
            found.problems += missing(trail, store)


def _derive(work: Workplace, screen: Screen, found: _Found, records: Records, sample: int, seed: int) -> None:
    own = archive_of(work).own
    told: dict[str, Any] = {"seed": seed, "same": 0, "different": 0, "gone": 0}
    with records.decisions() as store, work.reading() as log, screen.progress() as advance:
        numbers: Sequence[int] = range(1, len(store) + 1)
        if 0 <= sample < len(numbers):
            numbers = sorted(random.Random(seed).sample(numbers, sample))
        for start in range(0, len(numbers), TOGETHER):
            part = numbers[start : start + TOGETHER]
            for outcome, problems in _derived(_records(store, part), log, own):
                told[outcome] = told.get(outcome, 0) + 1
                found.problems += problems
            advance("derived again", start + len(part), len(numbers))
    found.replayed = told


def _records(store: Decisions, numbers: Sequence[int]) -> list[Record]:
    """Some records, ascending; in one go where none lies between them."""
    if numbers[-1] - numbers[0] + 1 == len(numbers):
        return list(store.scan(after=numbers[0] - 1, until_number=numbers[-1]))
    return [store.get(number) for number in numbers]


def _derived(
    records: Sequence[Record], log: EmbeddedLog, own: Deciders
) -> Iterator[tuple[str, list[Problem]]]:
    """Whether decisions came out again, and what did not: with one pass over the log for each decider."""
    groups: dict[int, tuple[Decider, list[Record]]] = {}
    for record in records:
        decider = own(record.decision)
        if record.decision.places:
            yield "elsewhere", []
        elif decider is None:
            yield "gone", []
        else:
            groups.setdefault(id(decider), (decider, []))[1].append(record)
    for decider, some in groups.values():
        yield from _replayed(some, log, decider)


def _replayed(
    records: Sequence[Record], log: EmbeddedLog, decider: Decider
) -> Iterator[tuple[str, list[Problem]]]:
    try:
        again = list(replay_many([record.decision for record in records], log, decider))
    except HeadwaterError as error:
        if len(records) == 1:
            number = records[0].number
            yield "different", [_at(one, number) for one in error.problems]
            return
        middle = len(records) // 2  # one that cannot be derived is found by halves
        yield from _replayed(records[:middle], log, decider)
        yield from _replayed(records[middle:], log, decider)
        return
    for record, one in zip(records, again, strict=True):
        yield "same" if one.same else "different", _differing(one, record.number)


def _differing(again: Replayed, number: int) -> list[Problem]:
    return [
        Problem(
            f"{one.what} does not come out as it was decided",
            where=f"decision {number}",
            do=f"the cause is the {one.cause}: see `headwater log verify`",
        )
        for one in again.differences
    ]


def _at(problem: Problem, number: int) -> Problem:
    return Problem(problem.what, problem.expected, problem.got, f"decision {number}", problem.do)


@contextmanager
def _noting(found: _Found) -> Iterator[None]:
    """What one part finds is noted, and the next part is looked at."""
    try:
        yield
    except HeadwaterError as error:
        found.problems += error.problems


def _tell(screen: Screen, found: _Found) -> None:
    if screen.as_json:
        screen.write(
            {
                "sound": not found.problems,
                "trail": found.trail,
                **({} if found.shared is None else {"shared_trail": found.shared}),
                "keys": found.keys,
                **({} if found.shared_keys is None else {"shared_keys": found.shared_keys}),
                "decisions": found.decisions,
                "definitions": found.definitions,
                "replay": found.replayed,
                "problems": [asdict(problem) for problem in found.problems],
            }
        )
        return
    rows = [
        (name, part[counted], part["link"])
        for name, part, counted in (
            ("audit trail", found.trail, "entries"),
            ("shared audit trail", found.shared, "entries"),
            ("decision records", found.decisions, "records"),
        )
        if part is not None
    ]
    screen.table(None, ("chain", "length", "last link"), rows, numbers=("length",))
    if found.keys is not None:
        screen.say(f"{found.keys:,} API keys are as the trail says.")
    if found.shared_keys is not None:
        screen.say(f"{found.shared_keys:,} API keys of the database are as the shared trail says.")
    if found.definitions is not None:
        screen.say(f"{found.definitions:,} kept definitions have the hashes that they were kept under.")
    if found.replayed is not None:
        told = found.replayed
        screen.say(f"{told['same']:,} decisions came out again to the bit (seed {told['seed']}).")
        if told["gone"]:
            screen.note(f"{told['gone']:,} cannot be derived: their model, policy or definition is gone")
        if told.get("elsewhere"):
            rest = f"{told['elsewhere']:,} rest on Kafka's topics"
            screen.note(f"{rest}: prove them with headwater replay ID --kafka BROKERS")
    for problem in found.problems:
        screen.say(str(problem), "red")
    verdict = "Nothing was changed." if not found.problems else f"Not proven: {len(found.problems)} problems."
    screen.say(verdict, "bold green" if not found.problems else "bold red")
