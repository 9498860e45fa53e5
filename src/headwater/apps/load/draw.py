"""Made-up values for a column of any type that a stream can have, many at once.

Keys are drawn from so many entities; texts are words that the project's filters look for, where there are
any. Called by ``requests``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import polars as pl

from headwater.apps.load.target import categories

_WORDS = ("a", "b", "c", "d", "e", "f", "g", "h")
_INTEGER = re.compile(r"U?Int(\d+)")
_MOST = 1_000  # of an integer that is no key

Random = np.random.Generator


class Drawer:
    """Draws rows.

    Args:
        columns: to their types, as a plan says them.
        keys: those of them that name entities.
        entities: how many of each there are: 1, 2, ... or ``column-1``, ``column-2``, ...
        words: text columns to what stands in them.
        random: where values come from.

    Example:
        >>> drawer = Drawer({"who": "Int64", "amount": "Float64"}, {"who"}, 50, {}, np.random.default_rng(0))
        >>> rows = drawer.frame(3)
        >>> rows.columns, rows.height, rows["who"].is_between(1, 50).all()
        (['who', 'amount'], 3, True)
    """

    def __init__(
        self,
        columns: Mapping[str, str],
        keys: Collection[str],
        entities: int,
        words: Mapping[str, Sequence[str]],
        random: Random,
    ) -> None:
        self._random = random
        self._columns = {
            name: _entity(name, dtype, entities) if name in keys else _value(dtype, words.get(name, _WORDS))
            for name, dtype in columns.items()
        }

    def frame(self, count: int) -> pl.DataFrame:
        """So many rows."""
        return pl.DataFrame({name: draw(self._random, count) for name, draw in self._columns.items()})


Draw = Callable[[Random, int], pl.Series]


def _entity(name: str, dtype: str, entities: int) -> Draw:
    found = _INTEGER.fullmatch(dtype)
    if found is not None:
        most = min(entities, 2 ** (int(found[1]) - 1) - 1)
        return lambda random, count: pl.Series(random.integers(1, most + 1, count))
    if categories(dtype) is not None or dtype == "Boolean":
        return _value(dtype, ())

    def draw(random: Random, count: int) -> pl.Series:
        return pl.Series([f"{name}-{number}" for number in random.integers(1, entities + 1, count).tolist()])

    return draw


def _value(dtype: str, words: Sequence[str]) -> Draw:
    found = _INTEGER.fullmatch(dtype)
    if found is not None:
        most = min(_MOST, 2 ** (int(found[1]) - 1) - 1)
        return lambda random, count: pl.Series(random.integers(0, most + 1, count))
    if dtype.startswith("Float"):
        return lambda random, count: pl.Series(random.lognormal(4.0, 1.0, count).round(2))
    if dtype == "Boolean":
        return lambda random, count: pl.Series(random.random(count) < 0.5)
    if dtype.startswith("Date"):  # days and moments beside the event's own: a day of 2026
        return _dates(time=dtype.startswith("Datetime"))
    return _texts(categories(dtype) or list(words))


def _dates(*, time: bool) -> Draw:
    form = "%Y-%m-%dT%H:%M:%SZ" if time else "%Y-%m-%d"

    def draw(random: Random, count: int) -> pl.Series:
        days = pl.Series(20_454 + random.integers(0, 365, count)).cast(pl.Int32).cast(pl.Date)
        return days.cast(pl.Datetime("us")).dt.strftime(form)

    return draw


def _texts(words: Sequence[str]) -> Draw:
    known = pl.Series(words, dtype=pl.String)
    return lambda random, count: known.gather(random.integers(0, len(words), count))
