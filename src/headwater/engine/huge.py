"""Large pages for large arrays.

Tables are read at random. With pages of 4 KiB, finding where a page lies costs as much as reading what is on
it; Linux gives pages of 2 MiB to those who ask. NumPy asks for new arrays but not for those that grow. Called
by ``engine.shard``.
"""

from __future__ import annotations

import ctypes
import mmap
import sys

from headwater.engine.kernels.layout import Int64

LARGE = 1 << 22  # bytes: smaller arrays may share their pages with others


def ask(array: Int64) -> None:
    """Ask for large pages, where the system has any; it may refuse.

    From the array's first page on: the system moves only what is all of one kind, and so the array can still
    grow without being copied.
    """
    if sys.platform == "linux" and array.nbytes >= LARGE:
        before = array.ctypes.data % mmap.PAGESIZE
        ctypes.CDLL(None).madvise(
            ctypes.c_void_p(array.ctypes.data - before),
            ctypes.c_size_t(array.nbytes + before),
            mmap.MADV_HUGEPAGE,
        )
