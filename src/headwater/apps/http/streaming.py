"""The metrics of a stream host, as Prometheus reads them, and what its probes are told.

Fed by the hooks of ``scale.kafka.host``, or by a query of ``scale.spark.stream``, once a turn; by other
threads it is only read. Names are those of ``metrics`` where they say the same, else ``headwater_stream_*``.
Opened by ``cli.metering``; ``docs/reference/stream-metrics.md`` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headwater.apps.http.metrics import SECONDS
from headwater.apps.http.page import Page
from headwater.apps.http.pulse import Pulse

if TYPE_CHECKING:  # an extra, which need not be installed
    from headwater.scale.kafka.standing import Standing
    from headwater.scale.kafka.turns import Turn
    from headwater.scale.spark.progress import Look

_NANO = 1e-9
_LONG = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
WAITING = "the group has given it no partitions yet"


@dataclass(frozen=True, slots=True)
class _Stream:
    """A stream's counters, looked up once."""

    records: Counter
    accepted: Counter
    duplicates: Counter
    scores: Counter


class StreamMetrics(Page):
    """One host's metrics, in a registry of their own.

    Args:
        pulse: of its loop.
        now: microseconds UTC.
        stopwatch: nanoseconds, the same as the host's.
        missing: what keeps it from being ready at first.
    """

    def __init__(
        self, pulse: Pulse, now: Callable[[], int], stopwatch: Callable[[], int], missing: str = WAITING
    ) -> None:
        super().__init__()
        self._pulse, self._now, self._stopwatch = pulse, now, stopwatch
        registry = self.registry
        self._streams: dict[str, _Stream] = {}
        self._came: dict[int, int] = {}
        self._given: tuple[int, ...] | None = None
        self._at = _At()
        self._records = Counter(
            "headwater_stream_records",
            "Records taken in; those behind a snapshot count, too, of which all was told before.",
            ["stream"],
            registry=registry,
        )
        self._events = Counter(
            "headwater_stream_events",
            "Events that were told of, by outcome: accepted, duplicate.",
            ["stream", "outcome"],
            registry=registry,
        )
        self._letters = Counter(
            "headwater_stream_dead_letters",
            "Records that went to the dead letters, by reason.",
            ["stream", "reason"],
            registry=registry,
        )
        self._scores = Counter("headwater_stream_scores", "Scores told.", ["stream"], registry=registry)
        self._turn_records = Histogram(
            "headwater_stream_turn_records",
            "Records that one transaction, or one batch of Spark's, tells of.",
            buckets=(1, 4, 16, 64, 256, 1_000, 5_000, 20_000, 50_000, 200_000, 500_000),
            registry=registry,
        )
        self._turn_seconds = Histogram(
            "headwater_stream_turn_seconds",
            "Taking the records of a turn in, and scoring.",
            buckets=SECONDS,
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "headwater_stream_commit_seconds",
            "From a turn's being sent off to the end of its transaction, which waits for the one before.",
            buckets=_LONG,
            registry=registry,
        )
        self._visible_seconds = Histogram(
            "headwater_stream_visible_seconds",
            "From the brokers' taking an event in to its score's being visible: the longest of each turn.",
            buckets=_LONG,
            registry=registry,
        )
        self._committed = Gauge(
            "headwater_stream_commit_timestamp_seconds", "When a turn was committed last.", registry=registry
        )
        self._rebalances = Counter(
            "headwater_stream_rebalances",
            "How often partitions came or went, by event: assigned, revoked, lost.",
            ["event"],
            registry=registry,
        )
        for event in ("assigned", "revoked", "lost"):
            self._rebalances.labels(event)
        self._undone = Counter(
            "headwater_stream_undone",
            "Transactions that did not come through, whose partitions were built anew.",
            registry=registry,
        )
        self._restore_seconds = Histogram(
            "headwater_stream_restore_seconds",
            "From a partition's coming to its state being where the group stood: by snapshot and records.",
            buckets=_LONG,
            registry=registry,
        )
        self._batch_seconds = Histogram(
            "headwater_stream_batch_seconds", "A batch of Spark's.", buckets=_LONG, registry=registry
        )
        ready = Gauge(
            "headwater_stream_ready",
            "Whether the host has its partitions, and had read them up to their ends.",
            registry=registry,
        )
        ready.set_function(lambda: int(pulse.is_ready()))
        turned = Gauge(
            "headwater_stream_turn_age_seconds", "Since the host's loop has turned.", registry=registry
        )
        turned.set_function(pulse.age)
        registry.register(_Present(lambda: self._at))
        pulse.missing = missing

    # --- Told by a host, or by a query of Spark's -------------------------------------------------------

    def turn(self, turn: Turn) -> None:
        """A transaction came through, or a batch did; or all of it had been told before."""
        for stream, tally in turn.streams.items():
            found = self._streams.get(stream) or self._resolved(stream)
            found.records.inc(tally.records)
            found.accepted.inc(tally.events)
            found.duplicates.inc(tally.duplicates)
            found.scores.inc(tally.scores)
            for reason, count in tally.refused.items():
                self._letters.labels(stream, reason).inc(count)
        self._turn_records.observe(turn.records)
        if turn.landed:
            now, since = self._now(), (self._stopwatch() - turn.landed) * _NANO
            self._turn_seconds.observe((turn.departed - turn.begun) * _NANO)
            self._commit_seconds.observe((turn.landed - turn.departed) * _NANO)
            self._committed.set(now / 1e6 - since)
            if turn.arrival:
                self._visible_seconds.observe(max(0.0, (now - turn.arrival) / 1e6 - since))

    def fault(self, where: str, _error: BaseException) -> None:
        """Something was got over."""
        self.faults.labels(where).inc()

    def moved(self, how: str, numbers: Collection[int]) -> None:
        """Partitions come, went, or are to be built anew."""
        if how == "undone":
            self._undone.inc()
        else:
            self._rebalances.labels(how).inc()
        comes = how in ("assigned", "undone")
        self._given = tuple(sorted(numbers)) if comes else None
        self._came = dict.fromkeys(numbers, self._stopwatch()) if comes else {}
        self._at = _At(len(self._given or ()), self._given or ())
        self._pulse.missing = "where its partitions end is not known yet" if comes else WAITING

    def restored(self, number: int) -> None:
        """A partition is where the group stood."""
        came = self._came.pop(number, None)
        if came is not None:
            self._restore_seconds.observe((self._stopwatch() - came) * _NANO)

    def standing(self, standing: Standing) -> None:
        """Where the partitions stand."""
        if self._given is None:
            return
        count, behind = len(self._given), standing.behind
        self._at = _At(count, behind, standing.lag, standing.keys)
        self._pulse.told = {"partitions": count}
        some = ", ".join(map(str, behind[:10])) + (", ..." if behind[10:] else "")
        self._pulse.missing = f"{len(behind)} of {count} partitions behind: {some}" if behind else None

    def looked(self, look: Look) -> None:
        """A batch of Spark's ended, or it found nothing to do."""
        if look.seconds is not None:
            self._batch_seconds.observe(look.seconds)
            self._committed.set(self._now() / 1e6)
        count = len({number for number, _ in look.lag})
        lag = {(number, topic.rpartition(".")[2]): left for (number, topic), left in look.lag.items()}
        self._at = _At(count, (), lag, {}, look.rows, look.bytes)
        self._pulse.told = {"partitions": count}
        left = sum(look.lag.values())
        if self._pulse.missing is not None:  # until it has caught up once
            self._pulse.missing = f"{left:,} records behind" if left else None

    def _resolved(self, stream: str) -> _Stream:
        found = self._streams[stream] = _Stream(
            self._records.labels(stream),
            self._events.labels(stream, "accepted"),
            self._events.labels(stream, "duplicate"),
            self._scores.labels(stream),
        )
        return found


@dataclass(frozen=True, slots=True)
class _At:
    """What is true at a moment; replaced as a whole, so that who reads sees no half of it."""

    partitions: int = 0
    behind: tuple[int, ...] = ()
    lag: Mapping[tuple[int, str], int] | None = None
    keys: Mapping[str, int] | None = None
    rows: int = 0
    size: int = 0


class _Present(Collector):
    """What is true at the moment."""

    def __init__(self, at: Callable[[], _At]) -> None:
        self._at = at

    def collect(self) -> Iterator[Metric]:
        """One gauge each."""
        at = self._at()
        for name, text, value in (
            ("headwater_stream_partitions", "Partitions that the host owns.", at.partitions),
            (
                "headwater_stream_behind_partitions",
                "Those of them that have not been read up to their ends since they came.",
                len(at.behind),
            ),
            ("headwater_stream_state_rows", "Rows of the state, on Spark.", at.rows),
            ("headwater_stream_state_bytes", "Memory that holds it, on Spark.", at.size),
        ):
            yield GaugeMetricFamily(name, text, value)
        lag = GaugeMetricFamily(
            "headwater_stream_lag_records",
            "Records of a partition that are not taken in yet.",
            labels=["stream", "partition"],
        )
        for (number, stream), count in (at.lag or {}).items():
            lag.add_metric([stream, str(number)], count)
        yield lag
        keys = GaugeMetricFamily(
            "headwater_stream_keys", "Keys whose state the host holds, by view.", labels=["view"]
        )
        for view, count in (at.keys or {}).items():
            keys.add_metric([view], count)
        yield keys
