"""What commands that run on Spark share: whether it can run here, and the past of a model on it.

Called by ``train`` and ``stream``; everything of Spark is behind the doors of ``scale.spark``, imported late.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from headwater.apps.cli.workplace import Workplace
from headwater.apps.extras import need
from headwater.apps.settings import environment
from headwater.core.errors import MissingExtraError
from headwater.definitions.model import Model
from headwater.training.history import streams_of
from headwater.training.past import Past

FORMATS = ("parquet", "delta", "iceberg", "table")


@dataclass(frozen=True, slots=True)
class Lake:
    """Where events lie as tables, as the options of a command say it; ``events`` None is the log."""

    events: str | None
    form: str
    arrival: str
    order: str


def library(door: str = "door") -> Any:
    """A door of ``scale.spark``, once it is known that Spark can run.

    Raises:
        MissingExtraError: PySpark or Java is missing.
    """
    need("pyspark", "spark", name="PySpark")
    _need_java(environment())
    return import_module(f"headwater.scale.spark.{door}")


@contextmanager
def past_on_spark(work: Workplace, model: Model, master: str | None, lake: Lake) -> Iterator[Past]:
    """The past of a model as tables on Spark; the log is written out as such where none are named.

    Raises:
        MissingExtraError: PySpark or Java is missing.
        DataError: the master is none, or a table is not as it should be.
        ClusterError: Spark does not start, or does not finish.
    """
    spark = library()
    streams = streams_of(model)
    with _named(work, spark, streams, lake) as place, spark.session(work.project.name, master) as session:
        yield spark.SparkPast(model, spark.tables(session, place, streams))


@contextmanager
def _named(work: Workplace, spark: Any, streams: Any, lake: Lake) -> Iterator[Any]:
    if lake.events is not None:
        yield spark.Place(whole(lake.events), lake.form, lake.arrival or None, lake.order or None)
        return
    spark.exportable(streams)
    with (
        work.reading() as log,
        tempfile.TemporaryDirectory(prefix="spark-", dir=work.settings.data) as folder,
    ):
        spark.export(log, streams, Path(folder))
        yield spark.Place(str(Path(folder).resolve()))


def whole(place: str) -> str:
    """A path from the root, if it names a folder here; Spark's present folder may be another."""
    return str(Path(place).resolve()) if Path(place).is_dir() else place


def _need_java(environ: Mapping[str, str]) -> None:
    home = environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if java is None:
        raise MissingExtraError.of(
            "Spark needs Java",
            expected="Java 17 or 21",
            got=f"JAVA_HOME={home}, which holds no bin/java" if home else "no java on the path",
            do="install a JRE, or let JAVA_HOME name one",
        )
