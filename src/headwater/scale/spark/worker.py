"""The door of a Python worker of Spark: what Spark calls for each bucket of keys.

A worker is one of many on its machine, so it works with one thread; and the first of them compiles the
kernels while the others wait, so that a machine compiles once and not once for each worker. Made by ``asof``;
the work is done in ``bucket``, which is imported here, once for each worker, when the first bucket comes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

# Polars reads it when it is loaded. In a worker that is now: Spark unpickles ``answer`` before the views that
# it is given. In a driver Polars is loaded already, and keeps its threads.
if "polars" not in sys.modules:
    os.environ.setdefault("POLARS_MAX_THREADS", "1")

WHOLE = "whole"  # the file that says that all kernels are compiled


def answer(asked: Any, spine: Any, events: Any) -> Any:
    """The rows of a bucket of the spine, with the features' columns; all three are Arrow tables.

    Travels to the workers as ``partial(answer, asked)``, where ``asked`` is what ``bucket.Asked`` holds.
    """
    return machine().answer(asked, spine, events)


@cache
def machine() -> Any:
    """The module ``bucket``, with its kernels compiled."""
    folder: Path = import_module("headwater.engine.kernels.machine_code").FOLDER
    if (folder / WHOLE).exists():
        return import_module("headwater.scale.spark.bucket")
    with _alone(f"{folder.name}.lock"):
        found = import_module("headwater.scale.spark.bucket")
        if folder.is_dir():
            (folder / WHOLE).touch()
    return found


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Wait until no other worker of this machine holds the lock; where there are no such locks, do not."""
    if sys.platform == "win32":
        yield
        return
    locks = import_module("fcntl")
    with (Path(tempfile.gettempdir()) / f"{os.getuid()}-{name}").open("w") as file:
        locks.flock(file, locks.LOCK_EX)  # let go of when the file is closed, or the worker dies
        yield
