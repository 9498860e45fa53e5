"""What happens at the small bank of ``tests.serving.bank``: payments, profiles, decisions, in any order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headwater.log.embedded import EmbeddedLog
from headwater.monitoring.late import LateWatch
from headwater.serving.decide import Decider
from headwater.serving.live import Live, Refresh, Scored
from headwater.serving.rederive import Asked, rederive
from headwater.serving.scoring import Scoring
from headwater.store.decision import Decision
from headwater.store.decisions import DecisionStore
from headwater.store.late import LateEvent, LateLedger
from tests.serving.bank import POLICY, PROJECT, live, log, micros, payment, profile, scoring

START = 100.0  # days


@dataclass(frozen=True)
class Happening:
    """One thing that happens: ``pay``, ``profile``, ``decide``, ``hold`` (recorded later) or ``settle``.

    ``day`` counts from :data:`START`: of the event, or of which the decision is.
    """

    what: str
    who: int = 1
    day: float = 0.0
    amount: float = 10.0


def decider() -> Decider:
    """The bank's."""
    return Decider(POLICY, scoring())


def own(decision: Decision) -> Decider | None:
    """A decision's model and policy, if it is the bank's."""
    found = decider()
    return found if decision.model_digest == found.scoring.digest else None


class Bank:
    """A bank that is open: a log, live scores, decisions, and a late ledger that is filled on line."""

    def __init__(self, folder: Path, bank: EmbeddedLog, *served: Scoring) -> None:
        self.log = bank
        self.live: Live = live(bank, *served)
        self.served = served or (scoring(),)
        self.decisions = DecisionStore.open(folder / "decisions.db")
        self.ledger = LateLedger.open(folder / "late.db")
        self.watch = self.watching(self.ledger)
        self.refreshes: list[Refresh] = []
        self._held: list[Decision] = []
        self._count = 0

    def watching(self, ledger: LateLedger) -> LateWatch:
        """A watch that fills a ledger."""
        return LateWatch(self.log, self.decisions, ledger, self.served, PROJECT.views, own)

    def goes(self, *happenings: Happening) -> None:
        """These happen, one after the other."""
        for one in happenings:
            self._count += 1
            day, arrival = START + one.day, micros(START + 50) + self._count
            if one.what == "pay":
                self._event("payments", payment(200_000 + self._count, one.who, day, one.amount), arrival)
            elif one.what == "profile":
                self._event("profiles", profile(one.who, day, one.amount), arrival)
            elif one.what == "settle":
                self.decisions.append(self._held)
                self._held = []
                self.watch.settle()
            else:
                decision = decider().decide(self._scored(one.who, micros(day)), arrival)
                if one.what == "hold":
                    self._held.append(decision)
                else:
                    self.decisions.append([decision])

    def rows(self) -> list[LateEvent]:
        """The ledger, brought up to date."""
        self.goes(Happening("settle"))
        return rows(self.ledger)

    def rebuilt(self, path: Path) -> list[LateEvent]:
        """The ledger as the log alone gives it."""
        with LateLedger.open(path) as ledger:
            self.watching(ledger).settle()
            return rows(ledger)

    def close(self) -> None:
        """Done."""
        self.decisions.close()
        self.ledger.close()

    def _scored(self, who: int, time: int) -> Scored:
        """As of any time, however long ago: live keeps no more than its windows need."""
        asked = Asked({"who": who}, time, self.log.end() - 1)
        (x,) = rederive(scoring(), [asked], self.log)
        return Scored("risk", asked.keys, time, asked.offset, {}, x, scoring().score(x))

    def _event(self, stream: str, frame: object, arrival: int) -> None:
        refreshes = self.live.append(stream, frame, arrival=arrival)[1]  # type: ignore[arg-type]
        self.refreshes += refreshes


def rows(ledger: LateLedger) -> list[LateEvent]:
    """All rows, in order."""
    return [event for _, event in ledger.page(limit=10_000)]


@contextmanager
def bank(folder: Path, *served: Scoring) -> Iterator[Bank]:
    """A bank without a past."""
    folder.mkdir(exist_ok=True)
    with log(folder, past=False) as made:
        opened = Bank(folder, made, *served)
        try:
            yield opened
        finally:
            opened.close()
