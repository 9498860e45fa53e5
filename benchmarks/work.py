"""The order that a contender gets and the sample that it gives back: plain values, sent as JSON.

Standard library only, because contenders run in environments that do not have ours. Read by ``harness``,
``worker`` and every contender.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Work:
    """What one run of a contender is to do.

    Attributes:
        module: the contender's module.
        folder: where the input lies; it was made before, and nobody is timed for it.
        options: what tells variants of a contender apart, and its share of the work.
        threads: how many a contender may use.
        answer: a file for the contender's results, to be compared with the others'; empty for none.
        repeat: do it several times if it is quick.
        times: do it so many times however long it takes; 0 for what ``repeat`` says.
    """

    module: str
    folder: str
    options: dict[str, Any] = field(default_factory=dict)
    threads: int = 2
    answer: str = ""
    repeat: bool = True
    times: int = 0

    @property
    def data(self) -> Path:
        return Path(self.folder)

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Work:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Sample:
    """One process: median seconds by the clock and of the processor (children included), memory in bytes.

    ``rss_start`` is what the process held with its input read and everything imported; ``rss_peak`` is the
    most it ever held up to the end of the first run. ``walls`` are all runs, the first one first.
    """

    wall: float
    cpu: float
    rss_start: int
    rss_peak: int
    figures: dict[str, Any] = field(default_factory=dict)
    walls: list[float] = field(default_factory=list)

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Sample:
        return cls(**json.loads(text))
