"""What came of the requests of a load: durations, errors, events. Filled by ``loop``, told by ``report``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from headwater.apps.load.histogram import Histogram

_COUNTS = re.compile(rb'"accepted":(\d+),"duplicates":(\d+),"refused":(\d+)')
_HEAD = 400  # bytes of an answer in which its counts stand
_OK = range(200, 300)


class Ended(StrEnum):
    """Why a load ended."""

    DONE = "done"
    INTERRUPTED = "interrupted"
    ERRORS = "errors"
    USED_UP = "used up"


@dataclass
class Kind:
    """Requests of one kind.

    Attributes:
        latency: from the moment at which a request was due to the end of its answer; those without an
            answer are in it with the time that was waited for them, those answered with an error are not.
        service: the same from the moment at which it was sent.
        sent, good: requests sent, and those answered well.
        accepted, duplicates, refused: events.
    """

    latency: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    sent: int = 0
    good: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0


@dataclass
class Fault:
    """A kind of error: how often, and the words of the first."""

    count: int = 0
    sample: str = ""


@dataclass
class Tally:
    """What came of a load.

    Attributes:
        kinds: by kind of request.
        faults: by what went wrong: ``429 overloaded``, ``timeout``, ``connection lost``, ``unanswered``.
        late: by how much the generator itself was late with what it could have sent.
        seconds: measured, from when the first was due to when the last was answered, or to the end.
        processor: seconds of the processor that the generator used.
        waiting: requests that are due and wait for a connection.
        ended: why.
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    late: Histogram = field(default_factory=Histogram)
    seconds: float = 0.0
    processor: float = 0.0
    waiting: int = 0
    ended: Ended = Ended.DONE

    def kind(self, name: str) -> Kind:
        """Of this name, made if it is new."""
        if name not in self.kinds:
            self.kinds[name] = Kind()
        return self.kinds[name]

    @property
    def good(self) -> int:
        """Requests that were answered well."""
        return sum(one.good for one in self.kinds.values())

    @property
    def errors(self) -> int:
        """Requests that were not."""
        return sum(one.count for one in self.faults.values())

    @property
    def latency(self) -> Histogram:
        """Of all kinds together."""
        whole = Histogram()
        for one in self.kinds.values():
            whole.add(one.latency)
        return whole

    def fault(self, name: str, sample: str = "") -> None:
        """Count an error."""
        found = self.faults.setdefault(name, Fault(sample=sample))
        found.count += 1

    def answered(self, kind: str, status: int, body: bytes, due: int, sent: int, now: int) -> None:
        """Count an answer; moments in nanoseconds."""
        one = self.kind(kind)
        if status not in _OK:
            self.fault(*_problem(status, body))
            return
        if (counts := _COUNTS.search(body, 0, _HEAD)) is not None:
            accepted, duplicates, refused = map(int, counts.groups())
            one.accepted += accepted
            one.duplicates += duplicates
            one.refused += refused
            if refused and not accepted + duplicates:
                self.fault("refused", _first_message(body))
                return
        one.good += 1
        one.latency.record(now - due)
        one.service.record(now - sent)

    def unanswered(self, kind: str, name: str, due: int, now: int, sample: str = "") -> None:
        """Count a request that got no answer: an error, and as slow as it was waited for."""
        self.fault(name, sample)
        self.kind(kind).latency.record(now - due)


def _problem(status: int, body: bytes) -> tuple[str, str]:
    """The name of an error answer, and its words."""
    told = _decoded(body)
    code = str(told.get("code", "")) if isinstance(told, dict) else ""
    problems = told.get("problems", []) if isinstance(told, dict) else []
    what = problems[0].get("what", "") if problems and isinstance(problems[0], dict) else ""
    return f"{status} {code}".strip(), str(what) or body[:200].decode("utf-8", "replace")


def _first_message(body: bytes) -> str:
    told = _decoded(body)
    results = told.get("results", []) if isinstance(told, dict) else []
    return next((str(one["message"]) for one in results if one.get("message")), "")


def _decoded(body: bytes) -> object:
    try:
        found: object = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return found
