"""The machine that a run was made on, stated with every result, and the share of it that a run may use."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

QUIET = 0.5  # of the cores may be busy before a run
LIBRARIES = ("headwater", "polars", "duckdb", "numba", "numpy", "pyarrow", "scikit-learn", "lightgbm")


def pin(threads: int) -> int:
    """Keep this process and those it starts on ``threads`` cores; returns how many there are now."""
    if not hasattr(os, "sched_setaffinity"):
        return min(threads, os.cpu_count() or 1)
    mine = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, mine)
    return len(mine)


def machine(libraries: Sequence[str] = LIBRARIES) -> dict[str, Any]:
    """Processor, cores, memory, system, Python and the versions of libraries."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(_memory() / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "versions": {name: found for name in libraries if (found := _version(name))},
    }


def busy(facts: Mapping[str, Any]) -> str:
    """A warning, if somebody else used the machine when the run began."""
    load = facts["load_before"][0]
    if load <= QUIET * facts["cores"]:
        return ""
    return (
        f"The machine was busy when this run began (load {load:g}): times by the clock are not to be trusted."
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """The first of what the system calls it that is a name (virtual machines hide it)."""
    told: dict[str, str] = {}
    source = Path("/proc/cpuinfo")
    for line in source.read_text(encoding="utf-8").splitlines() if source.exists() else ():
        key, _, value = line.partition(":")
        told.setdefault(key.strip(), value.strip())
    name = told.get("model name", "")
    if name in {"", "unknown"}:
        name = f"family {told['cpu family']}, model {told['model']}" if "cpu family" in told else ""
        name = f"{told.get('vendor_id', '')} {name}".strip()
    return name or platform.processor() or platform.machine()


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
