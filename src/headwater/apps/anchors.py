"""Anchors: where the decision records stood, noted in the audit trail, so that neither can be cut alone.

::

    decisions  c1 -- c2 -- c3 -- c4 -- c5
                            ^           ^
    trail      a1 -- a2 -- "3: c3" --- "5: c5"        c5 cut off: the second anchor finds no record 5

A server notes an anchor when it starts and when it ends; ``cli.audit`` checks all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from headwater.apps.stores import Records
from headwater.core.errors import Problem, UnavailableError
from headwater.store.audit import Act, Entry
from headwater.store.protocol import Decisions, Trail

ACTION = "decisions.anchor"
_PAGE = 1_000


def note(trail: Trail, store: Decisions, *, now: int, actor: str) -> Entry | None:
    """Note the last link of the decision records; None if there is none, or it is noted already.

    Raises:
        StoreError: one of the files cannot be used.
    """
    count = len(store)
    if not count:
        return None
    details = {"records": count, "link": store.get(count).chain.hex()}
    last = next((entry for entry in trail.newest(_PAGE) if entry.act.action == ACTION), None)
    if last is not None and last.act.details == details:
        return None
    return trail.append(Act(now, actor, ACTION, store.name, details))


@contextmanager
def noted(records: Records, store: Decisions, clock: Callable[[], int]) -> Iterator[Trail]:
    """The audit trail of a server; where the decision records stand is noted in it: now, and at the end.

    Args:
        records: opens the trail.
        store: the decision records.
        clock: now, microseconds UTC.
    """
    with records.trail() as trail:
        note(trail, store, now=clock(), actor="server")
        yield trail
        with suppress(UnavailableError):  # the next server that starts or ends notes it
            note(trail, store, now=clock(), actor="server")


def missing(trail: Trail, store: Decisions | None) -> Iterator[Problem]:
    """The anchors that the decision records do not have any more, the oldest first.

    Args:
        trail: found whole.
        store: found whole; None if there is no such file any more.
    """
    count = 0 if store is None else len(store)
    for entry in _anchors(trail):
        number, link = entry.act.details["records"], entry.act.details["link"]
        if store is None or number > count or store.get(number).chain.hex() != link:
            yield Problem(
                "the decision records are not those that the audit trail tells of",
                expected=f"record {number} with the link {link}",
                got=f"{count} records" if number > count else "another link",
                where=f"audit entry {entry.number}",
                do="restore the decision records from a copy; nobody may remove decisions",
            )


def _anchors(trail: Trail) -> Iterator[Entry]:
    after = 0
    while page := trail.page(after=after, limit=_PAGE):
        after = page[-1].number
        yield from (entry for entry in page if entry.act.action == ACTION)
