"""Arrow: a record's value is an Arrow IPC stream of one row, which brings its own schema.

One event a record, because an event's place in the log is its record's offset. Called by ``reading`` and
``publish``.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa

from headwater.scale.kafka.payloads.avro import plain
from headwater.scale.kafka.payloads.unread import UnreadError

NOT_ARROW, NOT_ONE = "not-arrow", "not-one-event"


def read(value: bytes) -> Any:
    """The event that a value holds.

    Raises:
        UnreadError: it is no Arrow stream, or not of one row.
    """
    try:
        with pa.ipc.open_stream(value) as stream:
            table = stream.read_all()
        table.validate(full=True)  # what lies about its lengths would be read beyond its end
        rows = table.to_pylist() if len(table) == 1 else []
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError):
        raise UnreadError(NOT_ARROW, "the record's value is not an Arrow stream") from None
    if not rows:
        raise UnreadError(NOT_ONE, f"an Arrow record holds one event, not {len(table)}")
    return {name: plain(one) for name, one in rows[0].items()}


def write(row: pl.DataFrame) -> bytes:
    """A row as an Arrow stream; Enums as texts, which every reader knows."""
    texts = [name for name, dtype in row.schema.items() if isinstance(dtype, pl.Enum | pl.Categorical)]
    table = row.with_columns(pl.col(texts).cast(pl.String)).to_arrow(compat_level=pl.CompatLevel.oldest())
    target = pa.BufferOutputStream()
    with pa.ipc.new_stream(target, table.schema) as stream:
        stream.write_table(table)
    return bytes(target.getvalue())
