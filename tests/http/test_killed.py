"""The server under load, killed with ``kill -9`` at random moments: nothing is lost, nothing counted twice.

::

    start ── load ──✗ start ──✗ start ── load ────✗ ...  start ── what has no answer ── told ── SIGTERM
                    └ from snapshot and log                             ║ to the bit
    start ── the same events, undisturbed ────────────────────────── told ── SIGTERM

``HEADWATER_KILLS`` says how many, ``make kills`` a hundred; ``HEADWATER_SEED`` says which moments.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

import headwater as hw
from headwater.definitions.loading import load_project
from headwater.log.embedded import EmbeddedLog
from headwater.store.decisions import DecisionStore
from headwater.store.folder import DataFolder
from tests.http.kills import CUSTOMERS, FIRST, Event, Sender, events_of, newest, same_state, told
from tests.http.process import begin, served

KILLS = int(os.environ.get("HEADWATER_KILLS", "3"))
SEED = int(os.environ.get("HEADWATER_SEED", "11"))
SENDERS = 3
AT_START = 3  # every so many kills hit a server that is just starting
EVERY = "1"  # seconds between two snapshots


@pytest.mark.slow
def test_killed_under_load_it_loses_nothing_and_counts_nothing_twice(
    trained: Path, shop: Path, tmp_path: Path
) -> None:
    print(f"{KILLS} kills, seed {SEED}")  # noqa: T201 - shown where it fails
    senders = [Sender(n + 1, random.Random(SEED * 100 + n)) for n in range(SENDERS)]
    data = DataFolder(shop / ".headwater")
    risen = _kill(shop, data, senders)
    with served(shop, "--snapshot-every", EVERY) as server:
        with hw.Client(server.url) as client:
            for sender in senders:
                sender.finish(client)
        at = newest(senders)
        disturbed = told(server.url, at)
        assert server.end(signal.SIGTERM) == 0
    assert risen or KILLS < 2, "never from a snapshot"
    events = _nothing_lost(shop, data, senders, at)
    _decisions_found(data, senders)
    again = sum(sender.again for sender in senders)
    print(f"{risen} starts from a snapshot; {len(events)} events, {again} sent again")  # noqa: T201
    assert disturbed == _undisturbed(trained, tmp_path / "undisturbed", events, at)


def _kill(shop: Path, data: DataFolder, senders: list[Sender]) -> int:
    """Start and kill, again and again; how many starts found a snapshot."""
    moment, risen = random.Random(SEED), 0
    for round_ in range(KILLS):
        risen += bool(list(data.snapshots.glob("*.snapshot")))
        if round_ % AT_START == AT_START - 1:
            with begin(shop, "--snapshot-every", EVERY) as process:
                time.sleep(moment.uniform(0.0, 5.0))  # the moment is left to chance
                process.kill()
            continue
        with served(shop, "--snapshot-every", EVERY) as server:
            threads = [sender.work(server.url) for sender in senders]
            if round_ == 0:
                _first_snapshot(data)
            time.sleep(moment.uniform(0.0, 1.8))
            server.end(signal.SIGKILL)
            for thread in threads:
                thread.join(30)
    return risen


def _first_snapshot(data: DataFolder) -> None:
    """Wait for one, so that there is something to rise from."""
    until = time.monotonic() + 60
    while not list(data.snapshots.glob("*.snapshot")):
        assert time.monotonic() < until, "no snapshot"
        time.sleep(0.02)


def _nothing_lost(shop: Path, data: DataFolder, senders: list[Sender], at: int) -> list[Event]:
    """The log holds each event once, where it was acknowledged, and no other. The events, in its order."""
    project = load_project(shop / "project.py")
    with EmbeddedLog.open(data.log, project.streams) as log:
        assert log.verify().problems == ()
        held = list(events_of(log))
        same_state(log, data.snapshots, project.views, at)
    places = {event["id"]: offset for offset, event in held}
    assert len(places) == len(held)
    acknowledged: dict[int, int] = {}
    for sender in senders:
        acknowledged |= sender.acknowledged
        first = FIRST * sender.number
        assert sender.acknowledged.keys() == set(range(first, first + sender.sent))
    assert acknowledged == places
    assert len(held) > 20 * KILLS
    return [event for _, event in held]


def _decisions_found(data: DataFolder, senders: list[Sender]) -> None:
    """Every acknowledged decision is there as it was told, none twice, and the chain holds."""
    with DecisionStore.open(data.decisions) as store:
        made = [one for sender in senders for one in sender.decided.values()]
        assert len({decision_id for decision_id, _ in made}) == len(made)
        for decision_id, chain in made:
            assert store.get(decision_id).chain.hex() == chain
        assert store.verify() == len(made) + len(CUSTOMERS)  # those of ``told``, and no other


def _undisturbed(trained: Path, folder: Path, events: list[Event], at: int) -> list[tuple[object, ...]]:
    """What a server tells that took the same events in one life."""
    shutil.copytree(trained, folder)
    with served(folder) as server:
        with hw.Client(server.url) as client:
            for first in range(0, len(events), 500):
                part = [{**event, "time": event["time"].isoformat()} for event in events[first : first + 500]]
                assert client.events("payments", part).accepted == len(part)
        found: list[tuple[object, ...]] = list(told(server.url, at))
        assert server.end(signal.SIGTERM) == 0
    return found
