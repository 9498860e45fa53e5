"""One server for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.house import House, serving


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The small bank, live. Tests of a module share it: each uses accounts and ids of its own."""
    with serving(tmp_path_factory.mktemp("bank")) as made:
        yield made
        made.monitors.round()
        assert made.faults.faults == []
        assert made.monitors.parity.page() == []  # all that was served in these tests, derived again
        assert made.monitors.parity.stands().gone == 0
