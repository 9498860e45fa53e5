"""Feast with its DuckDB offline store: a point-in-time join of feature values computed before.

Feast does not compute windows. So the values after every event are computed first (DuckDB window functions,
the quickest way in Feast's environment), written as Parquet as its file sources want them, and joined by
``get_historical_features``. Both parts are timed; making the registry is not. Feast joins a row with every
value of its keys that is not older than ``ttl`` and keeps the newest, so ``ttl`` (0 days, without bound, is
the default) sets the price.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource  # type: ignore[import-not-found]
from feast.types import Float64, Int64  # type: ignore[import-not-found]
from feast.value_type import ValueType  # type: ignore[import-not-found]

from benchmarks.work import Work

KINDS = (
    ("customer_id", "amount", "n_customer", "mean_customer", 0),
    ("terminal_id", "is_fraud", "n_terminal", "risk_terminal", 7),
)
SPANS = (1, 7, 30)
CONFIG = """project: bench
registry: {folder}/registry.db
provider: local
offline_store: {{type: duckdb}}
online_store: {{type: sqlite, path: {folder}/online.db}}
entity_key_serialization_version: 3
"""


def prepare(work: Work) -> Callable[[], dict[str, Any]]:
    folder = work.data / f"feast-{work.options['ttl_days']}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "feature_store.yaml").write_text(CONFIG.format(folder=folder), encoding="utf-8")
    spine = pd.read_parquet(work.data / "spine.parquet").rename(columns={"time": "event_timestamp"})
    spine["row"] = range(len(spine))
    _compute(work, folder, "LIMIT 1000")
    store = FeatureStore(repo_path=str(folder))
    store.apply(_registered(folder, timedelta(days=work.options["ttl_days"])))
    _join(store, spine.head(100))
    return lambda: _run(work, folder, store, spine)


def answer(result: dict[str, Any]) -> dict[str, Any]:
    frame = result["frame"]
    names = [name for *_, count, mean, _ in KINDS for name in _names(count, mean)]
    return {name: frame[name].astype("float64").fillna(0.0).to_numpy() for name in names}


def figures(result: dict[str, Any]) -> dict[str, float]:
    return {name: result[name] for name in ("computing", "joining", "rows", "asked")}


def _run(work: Work, folder: Path, store: Any, spine: pd.DataFrame) -> dict[str, Any]:
    start = time.perf_counter()
    _compute(work, folder, "")
    computed = time.perf_counter()
    frame = _join(store, spine)
    done = time.perf_counter()
    return {
        "frame": frame,
        "computing": computed - start,
        "joining": done - computed,
        "rows": len(frame),
        "asked": len(spine),
    }


def _join(store: Any, spine: pd.DataFrame) -> pd.DataFrame:
    """Feast's rows come in any order; a number in the spine brings them back."""
    wanted = [f"{key}:{name}" for key, _, count, mean, _ in KINDS for name in _names(count, mean)]
    frame: pd.DataFrame = store.get_historical_features(entity_df=spine, features=wanted).to_df()
    return frame.sort_values("row")


def _names(count: str, mean: str) -> list[str]:
    return [f"{name}_{span}d" for name in (count, mean) for span in SPANS]


def _registered(folder: Path, ttl: timedelta) -> list[Any]:
    found: list[Any] = []
    for key, _, count, mean, _ in KINDS:
        entity = Entity(name=key, join_keys=[key], value_type=ValueType.INT64)
        source = FileSource(
            name=f"of_{key}", path=str(folder / f"{key}.parquet"), timestamp_field="event_timestamp"
        )
        fields = [
            Field(name=name, dtype=Int64 if name.startswith("n_") else Float64)
            for name in _names(count, mean)
        ]
        found += [entity, FeatureView(name=key, entities=[entity], ttl=ttl, schema=fields, source=source)]
    return found


def _compute(work: Work, folder: Path, limit: str) -> None:
    """The twelve values after every event, one file per key."""
    connection = duckdb.connect()
    connection.execute(f"SET threads = {work.threads}")
    connection.execute("SET TimeZone = 'UTC'")
    for key, value, count, mean, delay in KINDS:
        columns, windows = [], []
        for span in SPANS:
            first = f"INTERVAL {(span + delay) * 86_400_000_000 - 1} MICROSECONDS PRECEDING"
            last = f"INTERVAL {delay} DAYS PRECEDING" if delay else "CURRENT ROW"
            windows.append(
                f"w{span} AS (PARTITION BY {key} ORDER BY event_at RANGE BETWEEN {first} AND {last})"
            )
            columns.append(
                f"count(*) OVER w{span} AS {count}_{span}d, avg({value}) OVER w{span} AS {mean}_{span}d"
            )
        events = f"(SELECT * FROM '{work.data}/events.parquet' {limit})"
        wanted = f"{key}, event_at AS event_timestamp, {', '.join(columns)}"
        query = f"SELECT {wanted} FROM {events} WINDOW {', '.join(windows)}"
        connection.execute(f"COPY ({query}) TO '{folder}/{key}.parquet' (FORMAT parquet)")
