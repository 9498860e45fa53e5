"""A table held at one version: Delta's and Iceberg's move on, and a training reads each several times.

::

    payments   v7 ────── v8 (rows deleted) ────── v9
                │
                └─ counted ── observed ── features ── labels      all of version 7, whatever comes meanwhile

A DataFrame of such a table has, each time it is computed, what the table has by then; one of Parquet files
has those that were there when it was made. Called by ``tables``.
"""

from __future__ import annotations

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from headwater.core.errors import DataError

_AS_OF = "versionAsOf"  # Spark's own name, which Delta and Iceberg both understand


def held(session: SparkSession, where: str, form: str) -> DataFrame:
    """A table as it is now, and stays.

    Args:
        session: who reads it.
        where: its path; with the form ``table``, its name.
        form: as Spark knows it, or ``table``.

    Raises:
        DataError: it has versions, and Spark cannot say or read them.
        AnalysisException: there is no such table.
    """
    named = form == "table"
    found = session.table(where) if named else session.read.format(form).load(where)
    kind = _provider(session, where) if named else form
    if kind not in ("delta", "iceberg"):
        return found
    try:
        version = _delta(session, where, named) if kind == "delta" else _iceberg(session, where, named)
        if version is None:
            return session.createDataFrame([], found.schema)
        read = session.read.option(_AS_OF, version)
        return read.table(where) if named else read.format(form).load(where)
    except AnalysisException as error:
        raise DataError.of(
            "a table cannot be held at one version while it is read",
            expected=f"a {kind} table whose newest version Spark can tell and read",
            got=str(error.getCondition() or type(error).__name__),
            where=where,
            do=f"set spark.sql.extensions to {kind}'s; or name a view, which may move, with --format table",
        ) from error


def _provider(session: SparkSession, name: str) -> str:
    """What a table of the catalog is made of; nothing for a view. The name has been read by Spark already."""
    told = [(row[0], row[1]) for row in session.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()]
    return next((value.lower() for key, value in reversed(told) if key == "Provider"), "")


def _delta(session: SparkSession, where: str, named: bool) -> int:
    name = where if named else "delta.`" + where.replace("`", "``") + "`"
    return int(session.sql(f"DESCRIBE HISTORY {name} LIMIT 1").collect()[0]["version"])


def _iceberg(session: SparkSession, where: str, named: bool) -> int | None:
    """The snapshot that the main branch stands at; None for a table that nothing was ever written to."""
    refs = session.table(f"{where}.refs") if named else session.read.format("iceberg").load(f"{where}#refs")
    return next((int(row["snapshot_id"]) for row in refs.collect() if row["name"] == "main"), None)
