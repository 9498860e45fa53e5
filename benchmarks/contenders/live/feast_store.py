"""Runs in Feast's environment: makes a store and brings each account's features into it."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource  # type: ignore[import-not-found]
from feast.types import Float64  # type: ignore[import-not-found]
from feast.value_type import ValueType  # type: ignore[import-not-found]

CONFIG = """project: bench
registry: registry.db
provider: local
offline_store: {type: file}
online_store: {type: sqlite, path: online.db}
entity_key_serialization_version: 3
"""


def main(bank: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "feature_store.yaml").write_text(CONFIG, encoding="utf-8")
    frame = pd.read_parquet(bank / "features.parquet")
    names = [name for name in frame.columns if name != "who"]
    frame["event_timestamp"] = datetime.now(UTC)
    frame.to_parquet(folder / "features.parquet")
    store = FeatureStore(repo_path=str(folder))
    entity = Entity(name="who", join_keys=["who"], value_type=ValueType.INT64)
    view = FeatureView(
        name="spending",
        entities=[entity],
        ttl=timedelta(days=1),
        schema=[Field(name=name, dtype=Float64) for name in names],
        source=FileSource(path=str(folder / "features.parquet"), timestamp_field="event_timestamp"),
    )
    store.apply([entity, view])
    store.write_to_online_store("spending", frame)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
