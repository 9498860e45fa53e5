"""What is closed at the end of its ``with`` block, whatever happened in it.

The base of stores, the log and the door; each says itself what it lets go of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """Is closed when its block ends.

    Example:
        >>> class Tap(Closing):
        ...     def close(self):
        ...         print("shut")
        >>> with Tap():
        ...     print("runs")
        runs
        shut
    """

    @abstractmethod
    def close(self) -> None:
        """Let go of what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
