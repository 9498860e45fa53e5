"""The memory of a share of a view's keys: made, grown, written and read whole.

The blocks are described in ``kernels.layout``. Growing goes in place (``realloc``), and pages that were
never touched cost nothing, so room is asked for generously. Called by ``engine.state``.
"""

from __future__ import annotations

import numpy as np

from headwater.engine import huge
from headwater.engine.kernels import layout as at
from headwater.engine.kernels import process
from headwater.engine.kernels.image import images as lay_images
from headwater.engine.plan import ViewPlan
from headwater.engine.sections import Array

LARGE = 1 << 23  # words; memory that large is moved by its pages, and keeps their size
NO_ITEMS = at.Items(
    time=np.zeros(0, dtype=np.int64),
    offset=np.zeros(0, dtype=np.int64),
    kind=np.zeros(0, dtype=np.uint8),
    emit=np.zeros(0, dtype=np.int64),
    columns=np.zeros((0, 0), dtype=np.int64),
    values=np.zeros((0, 0), dtype=np.float64),
    flags=np.zeros((0, 0), dtype=np.uint8),
)


class Memory:
    """Four growing blocks and the struct of views on them that kernels take."""

    shard: at.Shard

    def __init__(self, plan: ViewPlan) -> None:
        self._plan = plan
        self._words = np.zeros(4096, dtype=np.int64)
        self._heap = np.zeros(at.HEAP, dtype=np.int64)
        self._heap[0] = 1
        self._ints = np.zeros((0, len(plan.first_ints)), dtype=np.int64)
        self._reals = np.zeros((0, len(plan.first_reals)), dtype=np.float64)
        self.keys = 0
        self._bind()

    def admit(self, keys: int) -> None:
        """Make rows for keys up to number ``keys`` - 1."""
        if keys <= self.keys:
            return
        if keys > len(self._ints):
            room = max(keys, len(self._ints) * 3 // 2, 16)
            self.shard = None  # type: ignore[assignment]  # no view may stand on memory that moves
            self._ints = _grown(self._ints, room)
            self._reals = _grown(self._reals, room)
            self._bind()
        self._ints[self.keys : keys] = self._plan.first_ints
        self._reals[self.keys : keys].view(np.int64)[:] = self._plan.first_reals.view(np.int64)
        self.keys = keys

    def make_room(self, words: int) -> None:
        """Grow the arena so that ``words`` more fit."""
        size = max(int(self._heap[0]) + words, len(self._words) * 3 // 2)
        self.shard = None  # type: ignore[assignment]
        if size < LARGE:
            larger = np.zeros(2 * size, dtype=np.int64)  # afresh: no page is touched before it is needed
            huge.ask(larger)
            larger[: len(self._words)] = self._words
            self._words = larger
        else:
            self._words = _grown(self._words, size)
            huge.ask(self._words)
        self._bind()

    def bytes_used(self) -> int:
        """Bytes that hold something: the used arena and the keys' rows."""
        row = self._ints.shape[1] + self._reals.shape[1]
        return 8 * (int(self._heap[0]) + self.keys * row)

    def events(self) -> int:
        """Events that are retained."""
        return int(self._ints[: self.keys, at.EVENTS].sum())

    def blocks(self) -> dict[str, Array]:
        """The blocks to be snapshot."""
        return {
            "words": self._words[: int(self._heap[0])],
            "heap": self._heap,
            "ints": self._ints[: self.keys],
            "reals": self._reals[: self.keys],
        }

    def restore(self, blocks: dict[str, Array], keys: int) -> None:
        """Take over the blocks of a snapshot; there may be empty room behind what they hold.

        Args:
            blocks: as from :meth:`blocks`; not copied where they can be written.
            keys: how many there are.
        """
        self._words = np.require(blocks["words"], np.int64, ["C", "W"])
        self._heap = np.require(blocks["heap"], np.int64, ["C", "W"])
        self._ints = np.require(blocks["ints"], np.int64, ["C", "W"])
        self._reals = np.require(blocks["reals"], np.float64, ["C", "W"])
        rows = min(len(self._ints), len(self._reals))
        if rows < max(len(self._ints), len(self._reals)):
            self._ints, self._reals = self._ints[:rows], self._reals[:rows]
        self.keys = keys
        self._bind()

    def hold(self, image: at.Int64 | None) -> None:
        """Hold one key and nothing else: the one of an image, or none. The image is copied.

        Args:
            image: as ``kernels.image`` lays it, of a view with this plan.
        """
        self._heap[:] = 0
        self._heap[0], self.keys = 1, 0
        if image is None:
            return
        used, rows = int(image[0]), 1 + len(self._plan.first_ints)
        words = rows + len(self._plan.first_reals)
        if used > len(self._words):
            self.make_room(used)
        self.admit(1)
        self._ints[0] = image[1:rows]
        self._reals[0].view(np.int64)[:] = image[rows:words]
        self._words[:used] = image[words : words + used]
        self._heap[0] = used

    def images(self, keys: at.Int64) -> tuple[at.Int64, at.Int64]:
        """The images of some keys, one behind the other, and where each ends.

        Args:
            keys: by their rows.
        """
        ends = np.empty(len(keys), dtype=np.int64)
        lay_images(self.shard, self._plan.tables, keys, ends, ends[:0])
        out = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.int64)
        if len(out):
            lay_images(self.shard, self._plan.tables, keys, ends, out)
        return out, ends

    def _bind(self) -> None:
        words, reals = self._words, self._reals
        self.shard = at.Shard(
            words=words,
            floats=words.view(np.float64),
            bytes=words.view(np.uint8),
            heap=self._heap,
            ints=self._ints,
            reals=reals,
            bits=reals.view(np.int64),
        )


def _grown(array: Array, rows: int) -> Array:
    """The array with more rows, all zeros: in place if the memory is its own, else moved."""
    if array.flags.owndata:
        array.resize((rows, *array.shape[1:]), refcheck=False)
        return array
    larger = np.zeros((rows, *array.shape[1:]), dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def work_space(tables: at.Tables) -> at.Work:
    """Scratch for one thread that runs a view's program."""

    def integers(*shape: int) -> at.Int64:
        return np.zeros(shape, dtype=np.int64)

    line = np.zeros(at.PASS, dtype=np.float64)
    edges = 1 + int((tables.groups[:, at.G_END] - tables.groups[:, at.G_FIRST]).max(initial=0))
    flow = 2 * edges * (at.SEGMENT + 1)  # twice what comes in may leave at once; for more there is the tape
    return at.Work(
        time=integers(at.SEGMENT),
        offset=integers(at.SEGMENT),
        emit=integers(at.SEGMENT),
        place=integers(at.PASS, 3),
        item=integers(at.PASS),
        sign=integers(at.PASS),
        end=integers(at.PASS),
        when=integers(at.PASS),
        signed=np.zeros(at.PASS),
        step=integers(at.PASS),
        bits=integers(at.PASS),
        line=line,
        whole=line.view(np.int64),
        p=np.zeros(at.PARTIALS),
        q=np.zeros(at.PARTIALS),
        r=np.zeros(at.PARTIALS),
        s=np.zeros(at.PARTIALS),
        w=np.zeros(at.PARTIALS),
        moment=integers(at.SEGMENT + 1),
        passed=integers(edges, at.SEGMENT + 1),
        edges=integers(edges, 5),
        done=integers(len(tables.lanes)),
        value=np.zeros(flow),
        high=np.zeros(flow),
        low=np.zeros(flow),
        tally=integers(flow),
    )


def run(
    memory: Memory, plan: ViewPlan, items: at.Items, runs: at.Int64, work: at.Work, out: at.Float64
) -> int:
    """Process all runs of this memory, growing it as needed.

    Returns:
        -1 if all went well, or the index of the item (a reading) that reaches behind what is kept.
    """
    run_, item = 0, 0
    while run_ < len(runs):
        run_, item, words = process.process(memory.shard, plan.tables, items, runs, work, out, run_, item)
        if words < 0:
            return int(item)
        if run_ < len(runs):
            memory.make_room(4 * words)
    return -1


def look(
    memory: Memory,
    plan: ViewPlan,
    keys: at.Int64,
    times: at.Int64,
    offset: int,
    rows: at.Int64,
    work: at.Work,
    out: at.Float64,
) -> int:
    """Read keys of this memory into rows of ``out``; -1, or the index that reaches behind what is kept."""
    i = 0
    while i < len(keys):
        i, words = process.read(memory.shard, plan.tables, NO_ITEMS, keys, times, offset, rows, work, out, i)
        if words < 0:
            return int(i)
        if words:
            memory.make_room(2 * words)
    return -1
