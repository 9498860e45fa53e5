"""Delta and Iceberg on Spark: the version that they stand at, to the bit, and held there; see ``moving``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.tables

ROOT = Path(__file__).resolve().parents[3]
HOME = Path(os.environ.get("HEADWATER_TABLES") or ROOT / "build" / "tables").resolve()


def told(what: str, folder: Path, *first: Path) -> dict[str, Any]:
    """What the program says, with some folders before all others, and the packages given to Spark."""
    if not (HOME / ".synced").is_file():
        pytest.skip("PySpark with Delta and Iceberg is not in build/tables: `make tables` sets it up")
    if util.find_spec("deltalake") is None or util.find_spec("pyspark") is None:
        pytest.skip("a library is missing: pip install 'headwater[spark,lake]'")
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        pytest.skip("there is no Java for Spark: `make services` installs it")
    jars = ",".join(sorted(str(path) for path in (HOME / "jars").glob("*.jar")))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, [*first, ROOT])),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": f"--jars {jars} pyspark-shell",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.scale.spark.moving", what, str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((folder / f"{what}.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def fitting(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is found with the PySpark that the packages are built for."""
    return told("read", tmp_path_factory.mktemp("fitting"), HOME / "python")


@pytest.mark.parametrize("which", ["lake", "iceberg"])
def test_training_on_a_table_is_training_on_the_log(fitting: dict[str, Any], which: str) -> None:
    assert fitting["spark"].startswith("4.1.")
    embedded = fitting["trained"]["embedded"]
    assert embedded["rows"]["train"] > 100
    assert fitting["trained"][which] == embedded


def test_what_is_opened_stays_whatever_is_written_meanwhile(fitting: dict[str, Any]) -> None:
    assert fitting["rows"] == {
        "delta": [700, 600],
        "delta by name": [700, 600],
        "iceberg": [700, 600],
        "iceberg by name": [700, 600],
        "empty": [0, 1],
        "view": [700, 700],  # which names a version itself
    }


def test_a_table_is_not_all_files_of_its_folder(fitting: dict[str, Any]) -> None:
    assert min(fitting["files"].values()) > 700


@pytest.mark.parametrize("which", ["delta", "delta 0", "iceberg", "iceberg 0"])
def test_features_of_a_version_are_those_of_its_events(fitting: dict[str, Any], which: str) -> None:
    assert fitting["asof"][which] == {"rows": 500, "values": 7_000, "differing": 0}


def test_tables_that_cannot_be_read(fitting: dict[str, Any]) -> None:
    look = "look at --events and --format; Delta and Iceberg need packages and settings for this Spark"
    lake = "FOLDER/.headwater/lake/events/payments"
    assert {**fitting["letters"], **fitting["bare"]} == {
        "nowhere": f"""\
there is no table of the stream payments that Spark can read
  expected: a delta table
  got:      PATH_NOT_FOUND
  where:    FOLDER/ice/payments
  do:       {look}
""",
        "no table": f"""\
there is no table of the stream payments that Spark can read
  expected: a table of the catalog
  got:      TABLE_OR_VIEW_NOT_FOUND
  where:    ice.away.payments
  do:       {look}
""",
        "not set up": f"""\
there is no table of the stream payments that Spark can read
  expected: a delta table
  got:      DELTA_CONFIGURE_SPARK_SESSION_WITH_EXTENSION_AND_CATALOG
  where:    {lake}
  do:       {look}
""",
        "no versions": f"""\
a table cannot be held at one version while it is read
  expected: a delta table whose newest version Spark can tell and read
  got:      PARSE_SYNTAX_ERROR
  where:    {lake}
  do:       set spark.sql.extensions to delta's; or name a view, which may move, with --format table
""",
    }


def test_packages_for_another_spark(tmp_path: Path) -> None:
    found = told("refused", tmp_path)
    assert found["letters"] == {
        "iceberg": f"""\
a package that Spark was given is built for another Spark
  expected: one built for Spark {found["spark"]}
  got:      IncompatibleClassChangeError: Found interface \
org.apache.spark.sql.connector.catalog.CatalogManager, but class was expected
  do:       take its release for this Spark, or the PySpark that it is built for
"""
    }
