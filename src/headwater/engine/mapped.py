"""A piece of a file as memory that can be written and grow: read when it is touched, never written back.

::

    file      ....|  array  |0 0|....
                  └────┬────┘
    memory        |  array  |0 0 0 0 0 0 0 0 0 0 0 0|      private: what is written here stays here
                  └ the file's pages ┘└ empty pages ┘

A state of many GB is there at once, whatever it would cost to read it into new memory. The price: the file
must not be cut off or written over while it is in use (nothing of ours does; snapshots are replaced, not
written), and once it is removed its space is free when the process ends. Linux only; elsewhere files are
read. Called by ``engine.sections``.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import weakref

import numpy as np
import numpy.typing as npt

PAGE = 4096  # what pieces of a file that can be mapped begin at
POSSIBLE = sys.platform == "linux" and mmap.PAGESIZE == PAGE

_ROOM = 4  # times as much address space as is used: it costs nothing
_READ_WRITE = 0x1 | 0x2
_PRIVATE, _FIXED, _ANONYMOUS, _NO_RESERVE = 0x2, 0x10, 0x20, 0x4000
_FAILED = ctypes.c_void_p(-1).value


def piece(descriptor: int, place: int, size: int) -> npt.NDArray[np.uint8] | None:
    """Bytes of an open file, with empty room behind them; None if the system will not have it.

    Args:
        descriptor: may be closed afterwards.
        place: where they begin, a multiple of :data:`PAGE`.
        size: how many there are; up to the end of the page behind them the file must hold zeros.

    Returns:
        uint8, longer than ``size``.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    call = libc.mmap
    call.restype = ctypes.c_void_p
    call.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    room = -(-size * _ROOM // PAGE) * PAGE
    memory = call(None, room, _READ_WRITE, _PRIVATE | _ANONYMOUS | _NO_RESERVE, -1, 0)
    if memory == _FAILED:
        return None
    whole = -(-size // PAGE) * PAGE
    front = call(memory, whole, _READ_WRITE, _PRIVATE | _FIXED | _NO_RESERVE, descriptor, place)
    buffer = (ctypes.c_uint8 * room).from_address(memory)
    # Not at exit: a thread may still be reading, and the system takes everything back by itself.
    weakref.finalize(buffer, _let_go, libc, memory, room).atexit = False
    if front == _FAILED:
        return None
    return np.ctypeslib.as_array(buffer)


def _let_go(libc: ctypes.CDLL, memory: int, room: int) -> None:
    libc.munmap(ctypes.c_void_p(memory), ctypes.c_size_t(room))
