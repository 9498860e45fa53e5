"""What the test of ``kill -9`` needs: senders that keep trying, as careful clients do, and what is compared.

Used by ``test_killed``.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import headwater as hw
from headwater.core.errors import HeadwaterError
from headwater.engine.run import Engine
from headwater.log.embedded import EmbeddedLog
from headwater.serving.rising import catch_up
from headwater.store.snapshots import Snapshots

CUSTOMERS = range(45)
START = 1_778_000_000  # 2026-05-05
HOUR, AN_HOUR = 3_600, 40  # seconds; events that a sender makes in it
FIRST = 1_000_000  # ids of a sender begin at a multiple of it
BATCH, LATE = 7, 0.2
Event = dict[str, Any]


@dataclass
class Sender:
    """Sends events and asks for decisions, over as many lives of the server as it takes.

    What was not acknowledged is sent again, under the same ids and the same idempotency key.

    Attributes:
        number: from 1 on.
        random: its own.
        acknowledged: event id to offset.
        decided: idempotency key to the decision's id and link of the chain.
        unsent: the batch that was sent last, if no answer came.
        unasked: the customer that was asked about last, and the idempotency key, if no answer came.
        again: how many answers said that an event was there already.
    """

    number: int
    random: random.Random
    acknowledged: dict[int, int] = field(default_factory=dict)
    decided: dict[str, tuple[str, str]] = field(default_factory=dict)
    unsent: list[Event] = field(default_factory=list)
    unasked: tuple[int, str] | None = None
    sent: int = 0
    asked: int = 0
    again: int = 0

    def work(self, url: str) -> Thread:
        """Begin, in a thread of its own, and go on until there is no answer."""
        thread = Thread(target=self._work, args=(url,))
        thread.start()
        return thread

    def _work(self, url: str) -> None:
        with hw.Client(url, timeout=20) as client:
            while True:
                try:
                    self.finish(client)
                except HeadwaterError:
                    return
                self.unsent = self._events()
                self.unasked = self.random.choice(CUSTOMERS), f"{self.number}-{self.asked}"
                self.asked += 1

    def finish(self, client: hw.Client) -> None:
        """Send what has no answer yet."""
        if self.unsent:
            results = client.events("payments", self.unsent).results
            for event, result in zip(self.unsent, results, strict=True):
                assert result.offset is not None
                self.acknowledged[event["id"]] = result.offset
                self.again += result.outcome == "duplicate"
            self.unsent = []
        if self.unasked is not None:
            who, name = self.unasked
            made = client.decide({"who": who}, idempotency_key=name)
            self.decided[name] = made.decision_id, made.chain
            self.unasked = None

    def _events(self) -> list[Event]:
        """Some payments, most of them about when the last ones were, some of them late."""
        made = []
        for _ in range(self.random.randint(1, BATCH)):
            late = (self.random.random() < LATE) * self.random.randint(0, 200)
            at = START + HOUR * (self.sent // AN_HOUR - late)
            made.append(
                {
                    "id": FIRST * self.number + self.sent,
                    "who": self.random.choice(CUSTOMERS),
                    "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
                    "amount": self.random.gammavariate(3.0, 20.0),
                    "kind": self.random.choice(["card", "cash"]),
                    "name": "Ada",
                }
            )
            self.sent += 1
        return made


def newest(senders: Sequence[Sender]) -> int:
    """No event is newer: microseconds UTC."""
    return 1_000_000 * (START + HOUR * max(sender.sent // AN_HOUR for sender in senders))


def told(url: str, at: int) -> list[tuple[Any, ...]]:
    """Features, score, band and reasons of every customer, as the server tells them."""
    found: list[tuple[Any, ...]] = []
    with hw.Client(url) as client:
        for who in CUSTOMERS:
            made = client.decide({"who": who}, at=at)
            read = client.features("behaviour", who, at=at)
            found.append((who, read.features, made.score.hex(), made.band, made.reasons, made.features))
    return found


def events_of(log: EmbeddedLog) -> Iterator[tuple[int, Event]]:
    """Offset and event, in the order of the log, but for those that were there before."""
    for batch in log.scan(["payments"]):
        for offset, event in zip(batch.offset.tolist(), batch.frame.to_dicts(), strict=True):
            if event["id"] >= FIRST:
                yield offset, event


def same_state(log: EmbeddedLog, snapshots: Path, views: Sequence[Any], at: int) -> None:
    """What rises from the newest snapshot is what a replay of everything gives, to the bit."""
    kept = Snapshots(snapshots).newest(views)
    assert kept.passed_over == ()
    assert kept.engine is not None
    straight = Engine(views)
    for engine in (kept.engine, straight):
        catch_up(engine, log)
    for view in views:
        keys = list(CUSTOMERS)
        assert kept.engine.read(view.name, keys, at).equals(straight.read(view.name, keys, at))
