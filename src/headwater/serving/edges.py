"""What the edges bring to a service: clocks, bounds, and who is told of what happens.

Below the edges nobody reads a clock. Brought by ``apps`` and by tests; used by ``deciding`` and ``taking``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from headwater.core.batch import Batch
from headwater.core.handful import Handful
from headwater.core.instant import MINUTE
from headwater.serving.commit import Turn
from headwater.serving.filing import Recorded
from headwater.serving.live import Scored, Stopwatch
from headwater.serving.rescored import Rescored

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the service takes at most.

    Attributes:
        queue_events, queue_bytes: what may wait to be committed.
        group_events: what is committed at once.
        gap: nanoseconds from one group of events to the next, while several senders share them.
        queue_decisions: decisions that may wait.
        group_decisions: decisions that are made before one of them goes to the disk.
        ahead: how far in the future an event, or the moment of a decision, may lie, in microseconds.
    """

    queue_events: int = 100_000
    queue_bytes: int = 64 << 20
    group_events: int = 20_000
    gap: int = 3_000_000
    queue_decisions: int = 2_000
    group_decisions: int = 4
    ahead: int | None = 5 * MINUTE


class Hooks:
    """Who is told of what happens, in the service's threads. Override what you need; nothing may raise."""

    def on_turn(self, turn: Turn) -> None:
        """Events were committed and scored."""

    def on_applied(self, events: Batch | Handful) -> None:
        """The engine has just taken these in; they are on disk."""

    def on_recorded(self, turn: Recorded) -> None:
        """Decisions were recorded."""

    def on_fresh(self, rescored: Sequence[Rescored]) -> None:
        """Scores were made fresh; late events and what they moved are in ``late``."""

    def on_served(self, scored: Sequence[Scored]) -> None:
        """Decisions were made on these."""

    def on_fault(self, where: str, error: BaseException) -> None:
        """Something failed: ``commit``, ``apply``, ``score``, ``answer``, ``decide``, ``record`` or
        ``snapshot``; or a canary (``canary``), and the champion answered in its place."""  # noqa: D205, D209


@dataclass(frozen=True, slots=True)
class Edge:
    """All that a service is brought.

    Attributes:
        clock: now, microseconds UTC.
        stopwatch: nanoseconds from some start, never back.
        limits: what is taken at most.
        hooks: who is told.
    """

    clock: Clock
    stopwatch: Stopwatch
    limits: Limits = field(default_factory=Limits)
    hooks: Hooks = field(default_factory=Hooks)

    @classmethod
    def of(cls, clock: Clock, stopwatch: Stopwatch, limits: Limits | None, hooks: Hooks | None) -> Edge:
        """With what is usual where nothing is given."""
        return cls(clock, stopwatch, limits or Limits(), hooks or Hooks())
