"""A Spark session: the one that runs already, or one of our own that is stopped at the end.

Called by the commands through ``door``. On Databricks a session is there, and under ``spark-submit`` whoever
submits has set it: what is set is left as it is.
"""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from headwater.core.errors import ClusterError, DataError
from headwater.scale.spark.failing import said

_MASTERS = re.compile(r"local(\[(\*|\d+)(, *\d+)?\])?|spark://[^ /]+:\d+.*|yarn|k8s://.+")

# Spark starts it for its Python workers, instead of its own.
DAEMON = "headwater.scale.spark.daemon"

# What we set where nobody else has: times without surprises, workers that are ready, a screen that is ours.
DEFAULTS = {
    "spark.python.daemon.module": DAEMON,
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


@contextmanager
def session(
    name: str, master: str | None, settings: Mapping[str, str] | None = None
) -> Iterator[SparkSession]:
    """A session, for as long as the block lasts.

    Args:
        name: of the application.
        master: where Spark runs; None for what is set, or all cores of this machine.
        settings: of a session that is made here, beyond ``DEFAULTS``.

    Raises:
        DataError: the master is none.
        ClusterError: Spark does not start.
    """
    if master is not None and not _MASTERS.fullmatch(master):
        raise DataError.of(
            "this is no address of Spark",
            expected="local[N], spark://HOST:PORT, yarn or k8s://URL",
            got=master,
            where="--master",
            do="name where Spark runs, or leave it out for this machine",
        )
    running = SparkSession.getActiveSession()
    if running is not None:
        yield running
        return
    made = _started(name, master, {**DEFAULTS, **(settings or {})})
    try:
        yield made
    finally:
        made.stop()


def _started(name: str, master: str | None, settings: Mapping[str, str]) -> SparkSession:
    builder = SparkSession.builder.appName(name)
    if master is not None:
        builder = builder.master(master)
    for key, value in settings.items():
        builder = builder.config(key, value)
    before = signal.getsignal(signal.SIGINT)
    try:
        made = builder.getOrCreate()
    except (PySparkException, Py4JError, RuntimeError, OSError) as error:
        raise ClusterError.of(
            "Spark does not start",
            expected="a session" + (f" at {master}" if master else ""),
            got=said(error),
            do="see that Java 17 is installed and that the cluster answers; Spark's own words stand above",
        ) from error
    if threading.current_thread() is threading.main_thread() and before is not None:
        signal.signal(signal.SIGINT, before)  # Spark takes Ctrl-C for itself
    if (made.sparkContext.master or "").startswith("local"):
        made.sparkContext.pythonExec = sys.executable  # workers on this machine have what we have
    made.sparkContext.setLogLevel("ERROR")
    return made
