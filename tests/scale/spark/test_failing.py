"""What Spark says of a failure, as a letter."""

from __future__ import annotations

import pytest

pytest.importorskip("pyspark")

from pyspark import __version__

from headwater.core.errors import ConflictError
from headwater.scale.spark.failing import failed, letter_of

WORKER = """\
Job aborted due to stage failure: Task 0 in stage 14.0 failed 4 times, most recent failure: (executor 0)
org.apache.spark.api.python.PythonException: An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "/opt/spark/python/lib/pyspark.zip/pyspark/worker.py", line 3551, in main
    func, profiler, deserializer, serializer = read_udfs(pickleSer, infile, eval_type)
{end}

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:790)
Caused by: org.apache.spark.SparkException: the task is over
"""


def test_the_last_letter_of_a_worker_is_told() -> None:
    told = "headwater.core.errors.StoreError: a file\n  got:      none\n\nDuring handling of the above:\n\n"
    told += "headwater.core.errors.ConflictError: two ids\n  expected: one\n  do:       mend it\nanother\n"
    found = letter_of(WORKER.format(end=told))
    assert isinstance(found, ConflictError)
    assert str(found) == "two ids\n  expected: one\n  do:       mend it\nanother"
    assert letter_of(WORKER.format(end="ValueError: no letter")) is None
    assert letter_of(WORKER.format(end="headwater.core.errors.Problem: none")) is None


@pytest.mark.parametrize(
    ("text", "got"),
    [
        (
            WORKER.format(end="ModuleNotFoundError: No module named 'headwater'"),
            "ModuleNotFoundError: No module named 'headwater'",
        ),
        ("Connection refused\nmore", "Connection refused"),
        ("", "OSError"),
    ],
)
def test_what_spark_did_not_finish(text: str, got: str) -> None:
    assert str(failed(OSError(text))) == (
        "Spark did not finish its work\n"
        f"  got:      {got}\n"
        "  do:       look at Spark's own log; every executor needs Headwater in its Python, "
        "and room for a bucket"
    )


def test_a_package_of_another_spark_is_told_as_such() -> None:
    text = (
        "An error occurred while calling o62.load.\n"
        ": java.lang.NoSuchMethodError: 'void org.apache.spark.sql.X()'\n"
        "\tat org.apache.spark.sql.delta.DeltaLog$.apply(DeltaLog.scala:9)"
    )
    assert str(failed(OSError(text))) == (
        "a package that Spark was given is built for another Spark\n"
        f"  expected: one built for Spark {__version__}\n"
        "  got:      NoSuchMethodError: 'void org.apache.spark.sql.X()'\n"
        "  do:       take its release for this Spark, or the PySpark that it is built for"
    )
