"""Starts contenders, each in a process of its own, in turns, and keeps what they report.

::

    round 1   headwater   polars   duckdb   ...      a machine has moods: whoever ran only in the morning
    round 2   headwater   polars   duckdb            would be compared with whoever ran only at noon
    round 3   headwater   polars                     (a contender that is slow once is not asked again)

Medians over the rounds are compared. The starting process holds no data, sets the same number of threads
for everyone and times nothing itself: see ``worker``. Called by the measures.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.venvs import Unavailable, python_of
from benchmarks.work import Sample, Work
from benchmarks.worker import MARK

ROOT = Path(__file__).parent.parent
LIMIT = 400  # seconds for one run of one contender
SLOW = 15.0  # seconds: whoever takes longer than that runs once


@dataclass(frozen=True)
class Setting:
    """What all measures of a run share.

    Attributes:
        folder: where input and results are put.
        data: the folder with the public data sets, if there is one.
        quick: small sizes, one round and only contenders that live in this environment.
        rounds: turns of each contender.
        threads: cores that each may use.
        tell: takes a line on the way.
        sizes: by name, in place of a measure's own: see ``size``.
    """

    folder: Path
    data: Path | None = None
    quick: bool = False
    rounds: int = 3
    threads: int = 2
    tell: Callable[[str], None] = print
    sizes: Mapping[str, float] = field(default_factory=dict)

    def size(self, name: str, full: float, quick: float) -> float:
        """A size by its name: as it was asked for, or the measure's own for a full or a quick run."""
        return self.sizes.get(name, quick if self.quick else full)


@dataclass(frozen=True)
class Contender:
    """Who runs: a name for people, a module, its options, and the environment that it needs.

    ``server`` is the environment of a server that it starts; its Python comes as the option ``python``.
    ``times`` is how often it works in one process; 0 for three times if it is quick, and else once.
    """

    name: str
    module: str
    options: dict[str, Any] = field(default_factory=dict)
    environment: str = ""
    server: str = ""
    limit: float = LIMIT
    times: int = 0


@dataclass
class Entry:
    """What a contender did: its samples, or why it was skipped."""

    contender: Contender
    samples: list[Sample] = field(default_factory=list)
    skipped: str = ""
    answer: Path | None = None
    difference: float | None = None

    @property
    def name(self) -> str:
        return self.contender.name

    def median(self, of: Callable[[Sample], float]) -> float:
        return statistics.median(of(sample) for sample in self.samples)

    @property
    def wall(self) -> float:
        return self.median(lambda sample: sample.wall)

    @property
    def cpu(self) -> float:
        return self.median(lambda sample: sample.cpu)

    @property
    def peak(self) -> float:
        return self.median(lambda sample: sample.rss_peak)

    def figure(self, name: str) -> float:
        return self.median(lambda sample: float(sample.figures[name]))

    def facts(self) -> dict[str, Any]:
        """All of it, for the JSON file."""
        return {
            "name": self.name,
            "options": self.contender.options,
            "environment": self.contender.environment or self.contender.server or "headwater's",
            "skipped": self.skipped or None,
            "largest_difference": self.difference,
            "samples": [asdict(sample) for sample in self.samples],
        }


def race(
    setting: Setting,
    contenders: Sequence[Contender],
    folder: Path,
    *,
    answers: bool = True,
    slow: float = SLOW,
) -> list[Entry]:
    """Let contenders work in turns on the input in ``folder``; the first round also keeps their answers.

    Whoever takes longer than ``slow`` seconds runs once.

    Raises:
        RuntimeError: the first, Headwater, could not run; everyone else may be skipped.
    """
    entries = [Entry(contender) for contender in contenders]
    for turn in range(1 if setting.quick else setting.rounds):
        for place, entry in enumerate(entries):
            if entry.skipped or (entry.samples and entry.samples[0].wall > slow):
                continue
            answer = folder / f"answer-{place}.npz" if answers and not turn else None
            _turn(setting, entry, folder, answer)
            if entries[0].skipped:
                raise RuntimeError(f"{entries[0].name}: {entries[0].skipped}")
    return entries


def once(setting: Setting, contender: Contender, folder: Path) -> Sample:
    """One run that must succeed, such as making the input.

    Raises:
        RuntimeError: it did not; the text is the end of what it wrote.
    """
    entry = Entry(contender)
    _turn(replace(setting, tell=_silent), entry, folder, None, repeat=False)
    if entry.skipped:
        raise RuntimeError(f"{contender.name}: {entry.skipped}")
    return entry.samples[0]


def _turn(setting: Setting, entry: Entry, folder: Path, answer: Path | None, *, repeat: bool = True) -> None:
    contender = entry.contender
    if (contender.environment or contender.server) and setting.quick:
        entry.skipped = "not in a quick run"
        return
    try:
        options = contender.options | ({"python": python_of(contender.server)} if contender.server else {})
        work = Work(
            contender.module,
            str(folder.absolute()),
            options,
            setting.threads,
            str(answer.absolute()) if answer else "",
            repeat=repeat and not setting.quick,
            times=contender.times,
        )
        sample = _run(python_of(contender.environment), work, contender.limit, quick=setting.quick)
    except (Unavailable, _Failed) as fault:
        entry.skipped = str(fault)
        setting.tell(f"  {entry.name}: skipped: {fault}")
        return
    entry.samples.append(sample)
    entry.answer = answer or entry.answer
    setting.tell(
        f"  {entry.name}: {sample.wall:.3f} s, processor {sample.cpu:.3f} s, "
        f"{sample.rss_peak / 2**20:,.0f} MiB"
    )


def _silent(line: str) -> None:
    """Nobody wants to read how the input was made."""


class _Failed(Exception):  # noqa: N818 - becomes the reason of a skip
    """A contender ended without a sample."""


def _run(python: str, work: Work, limit: float, *, quick: bool) -> Sample:
    command = [python, "-m", "benchmarks.worker", work.dump()]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=_environment(work.threads, quick=quick),
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as fault:
        raise _Failed(f"not done within {limit:g} s") from fault
    lines = done.stdout.splitlines()
    if done.returncode or not lines or not lines[-1].startswith(MARK):
        raise _Failed(f"ended with {done.returncode}: {_reason(done.stderr or done.stdout)}")
    return Sample.load(lines[-1].removeprefix(MARK))


def _reason(told: str) -> str:
    """The line of a traceback that names the exception, or the last line there is."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return (named or lines or ["no output"])[-1]


def _environment(threads: int, *, quick: bool) -> dict[str, str]:
    """The same number of threads for everyone, by the name that each library reads.

    A quick run, of which no figure counts, leaves what is set already.
    """
    names = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    counts = {name: str(threads) for name in names if not (quick and name in kept)}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return {**kept, **counts, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}


def stopwatch() -> Callable[[], float]:
    """Seconds since it was made."""
    start = time.perf_counter()
    return lambda: time.perf_counter() - start
