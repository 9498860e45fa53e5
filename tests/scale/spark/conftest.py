"""One Spark session for all tests here; without Java or PySpark they skip, and say so."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


JARS = Path(__file__).resolve().parents[3] / "build" / "services" / "spark"


def jars() -> str:
    """Those of the Kafka connector, as `make services` brings them."""
    named = os.environ.get("HEADWATER_SERVICES")
    folder = Path(named).parent / "spark" if named else JARS
    return ",".join(sorted(str(path) for path in folder.glob("*.jar")))


@pytest.fixture(scope="session")
def connector() -> str:
    """The jars of Spark's Kafka connector; without them the test skips."""
    found = jars()
    if not found:
        pytest.skip("Spark's Kafka connector is not there: `make services` brings it")
    return found


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """Spark on two cores, in a time zone of its own."""
    if util.find_spec("pyspark") is None:
        pytest.skip("PySpark is not installed: pip install 'headwater[spark]'")
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        pytest.skip("there is no Java for Spark: `make services` installs it")
    from pyspark.sql import SparkSession

    from tests.scale.spark.streaming import QUICK

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYSPARK_DRIVER_PYTHON", sys.executable)
        session = (
            SparkSession.builder.master("local[2]")
            .config("spark.python.daemon.module", "headwater.scale.spark.daemon")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.sql.session.timeZone", "Asia/Kathmandu")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.adaptive.enabled", "false")
            .config("spark.jars", jars())
            .config(map={**QUICK})
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()
