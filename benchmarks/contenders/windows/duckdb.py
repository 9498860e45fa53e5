"""DuckDB: window functions over ranges, from a table of its own to an Arrow table."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import polars as pl

from benchmarks.contenders.windows import frame
from benchmarks.contenders.windows.data import FILTERED, SPANS
from benchmarks.contenders.windows.frame import answer, figures
from benchmarks.work import Work

__all__ = ["answer", "figures", "prepare"]


def prepare(work: Work) -> Callable[[], pl.DataFrame]:
    connection = duckdb.connect()
    connection.execute(f"SET threads = {work.threads}")
    connection.execute("SET TimeZone = 'UTC'")
    events = frame.events(work).with_row_index("row")
    for table, rows in (("events", events), ("sample", frame.warm(events))):
        connection.register("came", rows.to_arrow())
        connection.execute(f"CREATE TABLE {table} AS SELECT * REPLACE (time::TIMESTAMP AS time) FROM came")
    _run(connection, "sample")
    return lambda: _run(connection, "events")


def _run(connection: duckdb.DuckDBPyConnection, table: str) -> pl.DataFrame:
    return pl.DataFrame(connection.execute(query(table)).to_arrow_table())


def query(table: str) -> str:
    """Windows are half open in Headwater and closed in SQL: a microsecond less is the same."""
    columns, windows = [], []
    for span, length in SPANS.items():
        windows.append(
            f"w{span} AS (PARTITION BY key ORDER BY time"
            f" RANGE BETWEEN INTERVAL {length - 1} MICROSECONDS PRECEDING AND CURRENT ROW)"
        )
        for name, column, where in FILTERED:
            columns.append(f"sum({column}) FILTER (WHERE {where}) OVER w{span} AS sum_{name}_{span}")
            columns.append(f"count(*) FILTER (WHERE {where}) OVER w{span} AS n_{name}_{span}")
    wanted = ", ".join(column.rsplit(" AS ", 1)[1] for column in columns)
    inner = f"SELECT row, {', '.join(columns)} FROM {table} WINDOW {', '.join(windows)}"
    return f"SELECT {wanted} FROM ({inner}) ORDER BY row"
