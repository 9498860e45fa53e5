"""The embedded log keeps the promises of every event log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from headwater.log import EmbeddedLog
from headwater.testing.log_contract import CHECKS, Make


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda streams: stack.enter_context(EmbeddedLog.open(tmp_path / "events.log", streams))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_embedded_log_keeps_its_promises(check: Callable[[Make], None], make: Make) -> None:
    check(make)


class Miscounting(EmbeddedLog):
    """A log that is one ahead of itself."""

    def end(self) -> int:
        return super().end() + 1


def test_a_broken_promise_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="broken promise: an empty log ends at 0"):
        CHECKS[0](lambda streams: Miscounting.open(tmp_path / "events.log", streams))
