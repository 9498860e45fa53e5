"""Clients of brokers end with the tests that made them."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def _clients_end() -> Iterator[None]:
    """Collect clients that a test left in a circle: they would go on, and speak on another test's screen."""
    yield
    gc.collect()
