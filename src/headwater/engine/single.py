"""One event or a handful, and a few keys at a time: the short way of the live host.

The kernels, the state and Polars as the evaluator of expressions are those of ``engine.state``; what is
left out is the making of frames, groups and threads, which for a single event costs many times the work
itself. Tests hold it equal to ``Engine.apply`` and ``Engine.read``, to the bit. Called by ``serving.live``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.core.batch import Batch
from headwater.core.errors import DataError
from headwater.core.frame import select_rows
from headwater.core.handful import Handful, Values, framed, is_plain
from headwater.core.scalar import Scalar, scalar
from headwater.engine import values
from headwater.engine.direct import direct
from headwater.engine.kernels import brief
from headwater.engine.kernels import layout as at
from headwater.engine.kernels.process import NEWEST
from headwater.engine.plan import ViewPlan
from headwater.engine.run import Engine
from headwater.engine.shard import NO_ITEMS, Memory, work_space
from headwater.engine.state import ViewState

Row = Sequence[Any]  # what a stream's views read of one event, as Python values

_TAKE, _LOOK = direct(brief.process), direct(brief.read)


class Single:
    """Takes single events into an engine and reads single keys from it. Not safe to share between threads.

    Args:
        engine: whose state it is; it may be used beside this, between calls.

    Example:
        >>> import headwater as hw
        >>> payments = hw.Stream("payments", schema={"at": pl.Datetime("us", "UTC"), "who": pl.Int64,
        ...                                          "amount": pl.Float64}, time="at")
        >>> view = hw.FeatureView("v", stream=payments, key="who",
        ...                       features={"spent": hw.sum("amount", over="7d"), "n": hw.count(over="7d")})
        >>> single = Single(Engine([view]))
        >>> frame = pl.DataFrame({"at": [5], "who": [1], "amount": [2.0]}, schema=payments.schema)
        >>> single.apply(Batch("payments", np.array([0]), np.array([5]), np.array([5]), frame))
        >>> single.read("v", 1, 5), single.newest({"who": 1})
        ((2.0, 1), 5)
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._views = {name: _View(state) for name, state in engine.states.items()}
        self._keyed: dict[str, list[_View]] = {}
        for view in self._views.values():
            self._keyed.setdefault(view.key, []).append(view)
        self._streams: dict[str, _Stream] = {}
        for name in dict.fromkeys(state.view.stream.name for state in engine.states.values()):
            own = [view for view in self._views.values() if view.stream == name]
            self._streams[name] = _Stream(own)

    @property
    def offset(self) -> int:
        """The last place in the log that was taken in, -1 before the first."""
        return self._engine.offset

    def apply(self, batch: Batch) -> None:
        """Take in a batch of one stream, behind all those taken in before."""
        if len(batch) != 1:
            self._engine.take(batch, emit=False)
            return
        self.take(batch.stream, batch.frame.get_columns(), int(batch.time[0]), int(batch.offset[0]))

    def take(self, stream: str, event: Sequence[pl.Series], time: int, offset: int) -> None:
        """Take in one event, behind all those taken in before.

        Args:
            stream: its stream.
            event: the stream's columns in their order, one value each.
            time: when it happened, microseconds.
            offset: its place in the log.
        """
        if stream in self._streams:
            self._streams[stream].take(event, time, offset)
        self._engine.offset = max(self._engine.offset, offset)

    def takes(self, stream: str) -> bool:
        """Whether :meth:`rows` can read a handful of a stream's events."""
        return stream in self._streams and self._streams[stream].plain

    def rows(self, handful: Handful) -> Sequence[Row]:
        """What the views of its stream read of each event: for :meth:`take_row`."""
        return self._streams[handful.stream].rows(handful.values, len(handful))

    def take_row(self, stream: str, row: Row, time: int, offset: int) -> None:
        """Take in one event, behind all those taken in before.

        Args:
            stream: its stream.
            row: as from :meth:`rows`.
            time: when it happened, microseconds.
            offset: its place in the log.
        """
        self._streams[stream].take_row(row, time, offset)
        self._engine.offset = max(self._engine.offset, offset)

    def cells(self, view: str, keys: Sequence[Any], times: Sequence[int], out: at.Float64) -> None:
        """A view's cells of a few keys, as the kernels write them. Changes nothing.

        Args:
            view: its name.
            keys: n keys.
            times: as of when, microseconds.
            out: float64, shape (cells, n), in C order; see ``values`` for what the words mean.

        Raises:
            DataError: a key is of another type, or a time reaches behind what the state keeps.
        """
        self._views[view].cells(keys, times, out)

    def plan(self, view: str) -> ViewPlan:
        """What a view's cells are."""
        return self._views[view].state.plan

    def read(self, view: str, key: Any, t: int) -> tuple[Any, ...]:
        """The view's outputs as of ``t``, as Python values in their order; null is None. Changes nothing.

        Raises:
            DataError: the key is of another type, or the time reaches behind what the state keeps.
        """
        return self._views[view].read(key, t)

    def newest(self, keys: Mapping[str, Any]) -> int | None:
        """The newest event time that any of the keys has seen in any view, or None if none has seen one.

        Args:
            keys: key column to the entity's key.
        """
        found = at.NEVER
        for column, key in keys.items():
            for view in self._keyed.get(column, ()):
                found = max(found, view.newest(key))
        return None if found == at.NEVER else found

    def newest_of(self, column: str, keys: Sequence[Any]) -> at.Int64:
        """The newest event time that each key of a key column has seen in any view.

        Args:
            column: the key column.
            keys: n of them, in the stream's type.

        Returns:
            int64 microseconds, shape (n,); ``layout.NEVER``, before all times, where it has seen none.
        """
        found = np.full(len(keys), at.NEVER)
        for view in self._keyed.get(column, ()):
            if len(keys) > _SINGLY:
                np.maximum(found, view.newest_of(keys), out=found)
            else:
                np.maximum(found, [view.newest(key) for key in keys], out=found)
        return found


_SINGLY = 32  # keys up to which one by one is quicker
_FEW = (pl.String, pl.Enum, pl.Categorical, pl.Boolean)  # types of columns that repeat their values
_REMEMBERED = 65_536


class _Stream:
    """The views of one stream: what they read of an event, evaluated once and together.

    Four kinds of expressions, each a function of its own row and nothing else::

        pl.col("amount")                 read as it is
        pl.col("price") * pl.col("n")    arithmetic of numbers, see ``core.scalar``
        pl.col("purpose") == "salary"    of texts and the like alone: remembered for each of their values
        pl.col("amount") / 7             evaluated for every event

    The last two by Polars, in one call.
    """

    def __init__(self, views: list[_View]) -> None:
        self._views = views
        self._schema = schema = dict(views[0].state.view.stream.schema)
        names = list(schema)
        place_of = {name: place for place, name in enumerate(schema)}
        wanted: list[pl.Expr] = []
        self._parts: list[tuple[_View, slice]] = []
        for view in views:
            start = len(wanted)
            wanted += [pl.col(view.key), *values.scalars(view.state.plan)]
            self._parts.append((view, slice(start, len(wanted))))
        self._width = len(wanted)
        self._bare: list[tuple[int, int]] = []
        self._scalars: list[tuple[int, Scalar]] = []
        numbers: list[str] = []
        few: list[tuple[int, pl.Expr]] = []
        rest: list[tuple[int, pl.Expr]] = []
        for place, expr in enumerate(wanted):
            roots = expr.meta.root_names()
            if expr.meta.is_column():
                self._bare.append((place, place_of[roots[0]]))
            elif roots and all(isinstance(schema[root], _FEW) for root in roots):
                few.append((place, expr))
            elif (made := scalar(expr, schema)) is not None:
                self._scalars.append((place, made))
                numbers += roots
            else:
                rest.append((place, expr))
        self._few, self._rest = _Together(few), _Together(rest)
        texts = [root for _, expr in few for root in expr.meta.root_names()]
        self._texts = [place_of[name] for name in dict.fromkeys(texts)]
        self._numbers = [(name, place_of[name]) for name in dict.fromkeys(numbers)]
        self._known: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        roots = [root for _, expr in rest for root in expr.meta.root_names()]
        self._rest_names = list(dict.fromkeys(roots or names[:1]))  # a constant has as many rows as it
        self._text_names = [names[place] for place in self._texts]
        self._bare_names = [(place, names[column]) for place, column in self._bare]
        self.plain = all(is_plain(schema[name]) for _, name in self._bare_names)

    def rows(self, values: Values, count: int) -> Sequence[Row]:
        """What the views read of each of a handful of events."""
        rows: list[list[Any]] = [[None] * self._width for _ in range(count)]
        for place, name in self._bare_names:
            for row, value in zip(rows, values[name], strict=True):
                row[place] = value
        if self._scalars:
            for event, row in enumerate(rows):
                read = {name: values[name][event] for name, _ in self._numbers}
                for place, made in self._scalars:
                    row[place] = made(read)
        if self._texts:
            texts = zip(*(values[name] for name in self._text_names), strict=True)
            for row, text in zip(rows, texts, strict=True):
                self._few.put(row, self._remembered(text))
        if self._rest:
            frame = framed({name: values[name] for name in self._rest_names}, self._schema)
            for row, found in zip(rows, self._rest.evaluate_all(frame), strict=True):
                self._rest.put(row, found)
        return rows

    def take_row(self, row: Row, time: int, offset: int) -> None:
        for view, part in self._parts:
            view.lay(row[part])
        for view in self._views:
            view.take(time, offset)

    def take(self, event: Sequence[pl.Series], time: int, offset: int) -> None:
        row: list[Any] = [None] * self._width
        for place, column in self._bare:
            row[place] = event[column][0]
        if self._scalars:
            read = {name: event[column][0] for name, column in self._numbers}
            for place, value in self._scalars:
                row[place] = value(read)
        if self._texts:
            self._few.put(row, self._remembered(tuple([event[column][0] for column in self._texts])))
        if self._rest:
            self._rest.put(row, self._rest.evaluate_all(pl.DataFrame(list(event)))[0])
        self.take_row(row, time, offset)

    def _remembered(self, texts: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the expressions over texts alone give, for the values of their columns."""
        found = self._known.get(texts)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            columns = {name: [text] for name, text in zip(self._text_names, texts, strict=True)}
            found = self._known[texts] = self._few.evaluate_all(framed(columns, self._schema))[0]
        return found


class _Together:
    """Expressions that are evaluated in one call, and their places in the row."""

    def __init__(self, parts: list[tuple[int, pl.Expr]]) -> None:
        self._places = [place for place, _ in parts]
        self._expressions = [expr.alias(f"{place}") for place, expr in parts]

    def __bool__(self) -> bool:
        return bool(self._places)

    def evaluate_all(self, frame: pl.DataFrame) -> list[tuple[Any, ...]]:
        """The values for each row of a frame."""
        found = select_rows(frame, self._expressions).rows()
        return found * len(frame) if len(found) == 1 else found  # constants give one row

    def put(self, row: list[Any], found: tuple[Any, ...]) -> None:
        for place, value in zip(self._places, found, strict=True):
            row[place] = value


class _View:
    """One view's state with room for a single event and a single reading."""

    def __init__(self, state: ViewState) -> None:
        self.state = state
        self.stream = state.view.stream.name
        self.key = state.view.key
        self._dtype = state.view.stream.schema[state.view.key]
        # types of which every value can be a key: what is not found is not there
        self._sure = {pl.Int64(): (int,), pl.String(): (str,)}.get(self._dtype, ())
        self._shards = len(state.memories)
        self._work = work_space(state.plan.tables)
        self._local = np.zeros(1, dtype=np.int64)
        self._time = np.zeros(1, dtype=np.int64)
        self._place = np.zeros(1, dtype=np.int64)
        self._out = np.empty((len(state.plan.tables.cells), 1), dtype=np.float64)
        self._run = np.array([[0, 0, 1]], dtype=np.int64)
        self._items = _room(len(state.plan.columns), len(state.plan.conditions))
        self._encode = values.Encoder(state.plan, state.book)
        self._decode = values.Decoder(state.plan, state.book)
        self._number = -1

    def lay(self, row: Sequence[Any]) -> None:
        """Make ready an event: its key, columns and conditions."""
        self._encode(row[1:], self._items.columns, self._items.flags)
        self._number = self._number_of(row[0], add=True)

    def take(self, time: int, offset: int) -> None:
        """Take in the event that was laid."""
        memory = self.state.memories[self._number % self._shards]
        local = self._number // self._shards
        memory.admit(local + 1)
        items, plan = self._items, self.state.plan
        items.time[0], items.offset[0], self._run[0, 0] = time, offset, local
        done = 0
        while not done:
            done, _, words = _TAKE(memory.shard, plan.tables, items, self._run, self._work, self._out, 0, 0)
            if not done:
                memory.make_room(4 * words)

    def read(self, key: Any, t: int) -> tuple[Any, ...]:
        number = self._number_of(key, add=False)
        memory = self.state.memories[number % self._shards]
        local = number // self._shards
        if number < 0 or local >= memory.keys:
            self._out[:, 0] = self.state.plan.blank
            return self._decode(self._out)
        self._local[0], self._time[0] = local, t
        if not self._look(memory, self._local, self._time, self._place, self._out):
            return self.state.read(pl.Series([key], dtype=self._dtype), self._time).row(
                0
            )  # says what is wrong
        return self._decode(self._out)

    def cells(self, keys: Sequence[Any], times: Sequence[int], out: at.Float64) -> None:
        if len(keys) > _SINGLY:
            series = pl.Series(keys, dtype=self._dtype)
            self.state.cells(series, np.asarray(times, dtype=np.int64), out)
            return
        numbers = [self._number_of(key, add=False) for key in keys]
        known = 0
        for s, memory in enumerate(self.state.memories):
            shards, keep = self._shards, memory.keys
            rows = [row for row, n in enumerate(numbers) if n >= 0 and n % shards == s and n // shards < keep]
            if not rows:
                continue
            known += len(rows)
            local = np.array([numbers[row] // shards for row in rows])
            when = np.array([times[row] for row in rows])
            if not self._look(memory, local, when, np.array(rows), out):
                for row in rows:
                    self._refuse(keys[row], times[row])
        if known < len(keys):
            for row, number in enumerate(numbers):
                if number < 0 or number // self._shards >= self.state.memories[number % self._shards].keys:
                    out[:, row] = self.state.plan.blank

    def _refuse(self, key: Any, t: int) -> None:
        """Raise if a reading reaches behind what is kept; the long way says it."""
        self.state.read(pl.Series([key], dtype=self._dtype), np.array([t]))

    def _look(self, memory: Memory, keys: at.Int64, times: at.Int64, rows: at.Int64, out: at.Float64) -> bool:
        """Read keys of a memory into columns of ``out``; False if one reaches behind what is kept."""
        i, tables = 0, self.state.plan.tables
        while i < len(keys):
            i, words = _LOOK(memory.shard, tables, NO_ITEMS, keys, times, NEWEST, rows, self._work, out, i)
            if words < 0:
                return False
            if words:
                memory.make_room(2 * words)
        return True

    def newest_of(self, keys: Sequence[Any]) -> at.Int64:
        numbers = self.state.keys.number(pl.Series(keys, dtype=self._dtype), add=False)
        found = np.full(len(keys), at.NEVER)
        for s, memory in enumerate(self.state.memories):
            local = numbers // self._shards
            rows = np.flatnonzero((numbers >= 0) & (numbers % self._shards == s) & (local < memory.keys))
            found[rows] = memory.shard.ints[local[rows], at.FRONTIER]
        return found

    def newest(self, key: Any) -> int:
        number = self._number_of(key, add=False)
        memory = self.state.memories[number % self._shards]
        if number < 0 or number // self._shards >= memory.keys:
            return at.NEVER
        return int(memory.shard.ints[number // self._shards, at.FRONTIER])

    def _number_of(self, key: Any, *, add: bool) -> int:
        number = self.state.keys.number_of(key)
        if number >= 0 or (not add and type(key) in self._sure):
            return number
        return int(self.state.keys.number(self._series(key), add=add)[0])

    def _series(self, key: Any) -> pl.Series:
        """The key as a column in the stream's type."""
        if type(key) is int and self._dtype == pl.Int64 and -(2**63) <= key < 2**63:
            return pl.Series(np.array([key]))  # several times as quick
        try:
            return pl.Series([key], dtype=self._dtype)
        except (TypeError, pl.exceptions.PolarsError):
            raise DataError.of(
                "a key has another type than the stream's",
                expected=str(self._dtype),
                got=type(key).__name__,
                where=self.key,
                do="give the key in the stream's type",
            ) from None


def _room(columns: int, flags: int) -> at.Items:
    """Items for a single event that nobody reads out."""
    words = np.zeros((columns, 1), dtype=np.int64)
    return at.Items(
        time=np.zeros(1, dtype=np.int64),
        offset=np.zeros(1, dtype=np.int64),
        kind=np.zeros(1, dtype=np.uint8),
        emit=np.full(1, -1, dtype=np.int64),
        columns=words,
        values=words.view(np.float64),
        flags=np.zeros((flags, 1), dtype=np.uint8),
    )
