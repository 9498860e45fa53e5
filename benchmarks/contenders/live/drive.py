"""The load that every server gets: first as many requests as it takes, then a steady rate in an open loop."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headwater.apps.load.connection import Address
from headwater.apps.load.loop import Pace, Request, Source, load
from headwater.apps.load.report import document

WARM = 1.0  # seconds
CONNECTIONS = 8  # of the closed loop
OPEN = 32  # of the open loop
FEW = 0.01  # of the requests may fail
GENTLE = 0.7  # of its own highest rate, for whoever cannot take the steady one


@dataclass
class Bodies:
    """The same requests over and over, as bytes made beforehand."""

    requests: Sequence[bytes]
    place: int = field(default=0)

    def next(self) -> Request:
        self.place = (self.place + 1) % len(self.requests)
        return Request("requests", self.requests[self.place])

    @classmethod
    def of(cls, url: str, path: str, bodies: Sequence[Any]) -> Bodies:
        """POST requests with JSON."""
        address, head = Address.of(url), {"Content-Type": "application/json"}
        return cls([address.request("POST", path, head, json.dumps(one).encode()) for one in bodies])


def drive(url: str, source: Source, rate: float, seconds: float, most: float = FEW) -> dict[str, Any]:
    """Top rate and steady rate of a server; see ``aim``."""
    top = aim(url, source, Pace(None, seconds, CONNECTIONS, WARM), most)
    steady = min(rate, round(GENTLE * top["per_second"], -1) or 1.0)
    return {"top": top, "steady": aim(url, source, Pace(steady, seconds, OPEN, WARM), most)}


def ask(url: str, path: str, body: Any) -> Any:
    """One request, to see whether the answer is right."""
    head = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(url + path, json.dumps(body).encode(), head), timeout=30
    ) as answer:
        return json.load(answer)


def same(got: Sequence[float], wanted: Sequence[float]) -> None:
    """Nobody is quick by being wrong.

    Raises:
        RuntimeError: values are not what they must be.
    """
    if not np.allclose(got, wanted, rtol=1e-9, atol=1e-12, equal_nan=True):
        raise RuntimeError(f"the answer is not right: {got[:3]} in place of {wanted[:3]}")


def aim(url: str, source: Source, pace: Pace, most: float = FEW) -> dict[str, Any]:
    """One load.

    Raises:
        RuntimeError: a larger share of the requests than ``most`` failed: such figures say nothing.
    """
    tally = load(Address.of(url), source, pace)
    told = document(tally, pace)
    if tally.errors > most * (tally.good + tally.errors):
        faults = ", ".join(
            f"{one['count']} x {name}: {one['first'][:80]}" for name, one in told["faults"].items()
        )
        raise RuntimeError(f"{tally.errors} of {tally.good + tally.errors} requests failed: {faults}")
    return told
