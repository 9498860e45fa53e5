"""Runs one contender once, in this process, and prints a sample as its last line.

Started by ``harness`` as ``python -m benchmarks.worker WORK`` with any Python that has the contender's
libraries; so this module imports nothing but the standard library.
"""

from __future__ import annotations

import gc
import importlib
import os
import resource
import sys
import time
from pathlib import Path

from benchmarks.work import Sample, Work

MARK = "sample: "
_STATUS = Path("/proc/self/status")
_KIB = 1024


def main(text: str) -> None:
    work = Work.load(text)
    contender = importlib.import_module(work.module)
    run = contender.prepare(work)
    gc.collect()
    held, busy, start = resident(), processor_seconds(), time.perf_counter()
    result = run()
    wall, busy, peak = time.perf_counter() - start, processor_seconds() - busy, peak_resident()
    figures = contender.figures(result) if hasattr(contender, "figures") else {}
    if work.answer:
        import numpy as np  # noqa: PLC0415 - only contenders that answer need numpy

        np.savez(work.answer, **contender.answer(result))
    sys.stdout.flush()
    print("\n" + MARK + Sample(wall, busy, held, peak, figures).dump(), flush=True)
    os._exit(0)  # some engines leave threads behind that never end


def processor_seconds() -> float:
    """User and system time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


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
