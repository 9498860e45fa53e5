"""Runs one contender in this process, a few times if it is quick, and prints a sample as its last line.

Started by ``harness`` as ``python -m benchmarks.worker WORK`` with any Python that has the contender's
libraries; so this module imports nothing but the standard library.
"""

from __future__ import annotations

import gc
import importlib
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.work import Sample, Work

MARK = "sample: "
TIMES, SHORT = 3, 3.0  # how often, and how many seconds are quick
_STATUS = Path("/proc/self/status")
_KIB = 1024


def main(text: str) -> None:
    work = Work.load(text)
    contender = importlib.import_module(work.module)
    run = contender.prepare(work)
    busy: Callable[[], float] = getattr(contender, "processor_seconds", processor_seconds)
    gc.collect()
    held = resident()
    wall, cpu, result = _timed(run, busy)
    walls, cpus, peak = [wall], [cpu], peak_resident()
    while len(walls) < work.times or (len(walls) < TIMES and walls[0] < SHORT and work.repeat):
        del result  # nobody is to hold two answers
        gc.collect()
        wall, cpu, result = _timed(run, busy)
        walls.append(wall)
        cpus.append(cpu)
    figures = contender.figures(result) if hasattr(contender, "figures") else {}
    if work.answer:
        import numpy as np  # noqa: PLC0415 - only contenders that answer need numpy

        np.savez(work.answer, **contender.answer(result))
    sys.stdout.flush()
    print(
        "\n"
        + MARK
        + Sample(statistics.median(walls), statistics.median(cpus), held, peak, figures, walls).dump(),
        flush=True,
    )
    os._exit(0)  # some engines leave threads behind that never end


def _timed(run: Callable[[], Any], busy: Callable[[], float]) -> tuple[float, float, Any]:
    """Seconds by the clock, seconds of the processor, and the result."""
    before, start = busy(), time.perf_counter()
    result = run()
    return time.perf_counter() - start, busy() - before, result


def processor_seconds() -> float:
    """User and system seconds of this process and of its finished children, finer than the clock tick."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def resident() -> int:
    """Bytes that this process holds now."""
    return _status("VmRSS") or _most()


def peak_resident() -> int:
    """The most bytes that this process or one of its children ever held."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _unit()
    return max(_status("VmHWM") or _most(), children)


def _status(name: str) -> int:
    """A line of Linux' account of this process; there ``ru_maxrss`` also remembers the parent's memory."""
    if not _STATUS.exists():
        return 0
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) * _KIB for line in lines if line.startswith(name + ":")), 0)


def _most() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _unit()


def _unit() -> int:
    return 1 if sys.platform == "darwin" else _KIB


if __name__ == "__main__":
    main(sys.argv[1])
