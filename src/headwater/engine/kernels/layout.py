"""Where everything lies: the structs of arrays that kernels share, and the words inside them.

A view's state is cut into shards by key; a shard is four blocks of memory::

    ints   one row per key: frontier, directory, cursors, small structures' addresses
    reals  one row per key: accumulators ("cells"); ``bits`` is the same memory as int64
    words  the arena: event chunks, directories, deques, tables; ``floats`` and ``bytes`` alias it
    heap   [0] the arena's next free word, [1:] heads of the free lists by size class

Nothing in here holds a pointer, so a shard is snapshot by writing its four blocks and moved by
reading them. Called by every other kernel module; built by ``engine.state``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
UInt8 = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]

NEVER = -(2**62)  # the frontier of a key that has seen nothing
NULL = -(2**63)  # null of an int64 column

# --- one key's row of ``ints`` -------------------------------------------------------------------
FRONTIER, DIRECTORY, CAPACITY, HEAD, LENGTH, EVENTS, FORGOTTEN, CURSORS = range(8)

# --- a directory entry: chunks of one key in order of time ---------------------------------------
ENTRY = 3  # words: address, count, capacity

# --- sizes of event chunks; a chunk grows through them -------------------------------------------
LARGEST = 64
CHUNK_SIZES = np.array([4, 8, 12, 16, 24, 32, 48, 64], dtype=np.int64)
CHUNK_LISTS = 1  # heap slots 1..8: free chunks by size
BLOCK_LISTS = 16  # heap slots 16 + n: free blocks of 2^n words
HEAP = 64

# --- kinds of lanes ------------------------------------------------------------------------------
UNIT, NUMBER, CODE = range(3)

# --- operations ----------------------------------------------------------------------------------
(
    COUNT,
    SUM,
    MEAN,
    VAR,
    STD,
    TREND,
    MIN,
    MAX,
    FIRST,
    LAST,
    SINCE_FIRST,
    SINCE_LAST,
    DISTINCT,
    DECAYED,
    QUANTILE,
) = range(15)
ADDING = (COUNT, SUM, MEAN)  # what leaves a window is taken off what entered it (see ``flow``)
OWN_TYPE = (MIN, MAX, FIRST, LAST)  # give a value as it came, not a computed number

# --- columns of the plan's tables ----------------------------------------------------------------
G_DELAY, G_CURSOR, G_FIRST, G_END, G_FLOW, G_FLOW_END = range(6)  # groups: one per distinct delay
W_OVER, W_CURSOR, W_FIRST, W_END, W_TAPE = range(5)  # windows of a group; over = -1: since forever
P_LANE, P_FIRST, P_REST, P_END = range(4)  # pairs: a lane read through a window; cells that add come first
F_LANE, F_FIRST, F_END, F_TALLY = range(4)  # flows: a lane that adds, in all windows of a group
T_CELL, T_WINDOW = range(2)  # terms of a flow
C_OP, C_OVER, C_DELAY, C_REALS, C_INTS, C_OUT, C_HALF, C_LANE = range(8)  # cells: one accumulator
L_KIND, L_COLUMN, L_FLAG = range(3)  # lanes: which events count, with which value


class Shape(NamedTuple):
    """Sizes that every kernel needs, one int64 each in ``Tables.shape``."""

    columns: int = 0
    flags: int = 1
    cursors: int = 2
    keep: int = 3  # microseconds
    exacts: int = 4  # records of partials


SHAPE = Shape()


class Tables(NamedTuple):
    """A compiled view: the program that the kernels run. All int64 but ``params``."""

    shape: Int64
    groups: Int64
    windows: Int64
    pairs: Int64
    cells: Int64
    lanes: Int64
    flows: Int64
    terms: Int64
    params: Float64  # per cell: the quantile's q, the half-life
    firsts: Int64  # indices of the cells that keep a cursor (FIRST, SINCE_FIRST over a window)


class Shard(NamedTuple):
    """The memory of the keys of one shard. ``floats`` and ``bytes`` alias ``words``; ``bits`` ``reals``."""

    words: Int64
    floats: Float64
    bytes: UInt8
    heap: Int64
    ints: Int64
    reals: Float64
    bits: Int64


class Items(NamedTuple):
    """What happens to the keys, grouped by key and in order of the log inside a key.

    ``kind`` 0 is an event, 1 a reading. ``emit`` is the row of the output, or -1. Columns hold float64
    bits or int64 codes, shape (columns, n), and ``values`` is the same memory as float64; flags are 0 or
    1, shape (flags, n).
    """

    time: Int64
    offset: Int64
    kind: UInt8
    emit: Int64
    columns: Int64
    values: Float64
    flags: UInt8


class Work(NamedTuple):
    """Scratch of one thread, sized once: items, the tape of a window, and a lane's values along it.

    A tape is what happens to one window over a pass, in order: values that leave (``sign`` -1) and enter
    (+1), and after which of them the window is read (``end``)::

        item        0    1         2    3
        sign        +1   -1   +1   -1   +1    0 : a reading without comings and goings
        end          1    0    1    0    1    1

    ``place`` says where the value stands: (chunk address, slot, capacity), or (-1 - i, 0, 0) for item i.

    The last block is for ``flow``: ``moment`` holds the times of the readings of a segment and, behind them,
    of its end; row ``edge`` of ``passed`` how many events the edge had passed at each, and of ``edges`` from
    where to where it went: (d, s, d, s, first slot in ``value`` and the like).
    """

    time: Int64  # per item: the frontier after it
    offset: Int64
    emit: Int64
    place: Int64  # the tape, shape (PASS, 3)
    item: Int64
    sign: Int64
    end: Int64
    when: Int64  # event time
    signed: Float64  # a lane along the tape: sign times value, 0.0 where the event does not count
    step: Int64  # sign, 0 where the event does not count
    bits: Int64  # the value's bits or code
    line: Float64  # what is read, in order; ``whole`` is the same memory as int64
    whole: Int64
    p: Float64  # partials
    q: Float64
    r: Float64
    s: Float64
    w: Float64
    moment: Int64
    passed: Int64  # shape (edges, SEGMENT + 1)
    edges: Int64  # shape (edges, 5)
    done: Int64  # per lane: whether its sums and counts need no tape
    value: Float64  # of a lane: what the edges passed, then running totals on two grids
    high: Float64
    low: Float64
    tally: Int64


SEGMENT = 1024  # items at a time
PASS = 4096  # length of a tape
PARTIALS = 64  # room for the partials of any sum


def owned(array: npt.NDArray[np.generic]) -> Int64:
    """The array as the kernels want it: int64, contiguous, writable; a copy only where it must be."""
    return np.require(array, np.int64, ["C", "W"])
