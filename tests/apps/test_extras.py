"""A library that an extra brings, and is not there: the letter says how to get it."""

from __future__ import annotations

import pytest

from headwater.apps.extras import need
from headwater.core.errors import MissingExtraError
from tests.letters import says


def test_what_is_missing_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("headwater.apps.extras.util.find_spec", asked.append)
    with says(
        MissingExtraError,
        """
        PySpark is not installed
          expected: the package pyspark
          do:       pip install 'headwater[spark]'
        """,
    ):
        need("pyspark", "spark", name="PySpark")
    with says(
        MissingExtraError,
        """
        deltalake is not installed
          expected: the package deltalake
          do:       pip install 'headwater[lake]', or export Parquet
        """,
    ):
        need("deltalake", "lake", instead="export Parquet")
    with says(
        MissingExtraError,
        """
        confluent-kafka is not installed
          expected: the package confluent-kafka
          do:       pip install 'headwater[kafka]'
        """,
    ):
        need("confluent-kafka", "kafka", module="confluent_kafka")
    assert asked == ["pyspark", "deltalake", "confluent_kafka"]


def test_what_is_there_is_not_spoken_of() -> None:
    need("polars", "none")
