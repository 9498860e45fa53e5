"""Several lives at a time, each in a process of its own. Called by ``__main__``."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks.loop.life import Lives, Size
from benchmarks.loop.lives import live

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS")


def together(size: Size, folders: Mapping[int, Path], threads: int, until: int | None = None) -> list[Lives]:
    """Live one life after the other; or as many at a time as there are threads, each with one.

    Args:
        size: of every world, but for its seed.
        folders: seed to where that life is kept.
        threads: how many there are.
        until: see ``lives.live``.
    """
    if len(folders) == 1 or threads == 1:
        return [_life(replace(size, seed=seed), folder, until) for seed, folder in folders.items()]
    os.environ |= dict.fromkeys(_ONE_THREAD, "1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(threads, mp_context=context, initializer=_interruptible) as pool:
        begun = [
            pool.submit(_life, replace(size, seed=seed), folder, until) for seed, folder in folders.items()
        ]
        return [life.result() for life in begun]


def _life(size: Size, folder: Path, until: int | None) -> Lives:
    def tell(line: str) -> None:
        sys.stdout.write(f"  seed {size.seed}, {size.accounts:,} accounts: {line}\n")
        sys.stdout.flush()

    return live(size, folder, tell, until)


def _interruptible() -> None:
    """A Ctrl-C ends this process without a word; the one that began it says what there is to say."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
