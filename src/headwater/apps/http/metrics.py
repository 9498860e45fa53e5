"""The service's metrics, as Prometheus reads them. All names begin with ``headwater_``.

Filled by the service's hooks (``hooks``) and by ``middleware``; what is only true at a moment (queues,
offsets) is looked up when the page is read (``present``). ``docs/reference/http.md`` lists them all.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from headwater.apps.http.page import Page
from headwater.apps.http.present import Cache, OfDeciding, OfLog
from headwater.serving.commit import Turn
from headwater.serving.deciding import Deciding
from headwater.serving.filing import Recorded
from headwater.serving.served import Trial
from headwater.serving.service import Service

_NANO = 1e-9
SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics(Page):
    """One service's metrics, in a registry of their own.

    Attributes:
        caches: what tells of each cache's hits and misses, by the cache's name.
    """

    def __init__(self) -> None:
        super().__init__()
        registry = self.registry
        self._counted: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.requests = Counter(
            "headwater_requests", "HTTP requests.", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "headwater_request_seconds",
            "From a request's head to the end of its answer.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.events = Counter(
            "headwater_events",
            "Events by outcome: accepted, duplicate, refused.",
            ["outcome"],
            registry=registry,
        )
        self.late = Counter(
            "headwater_late_entities",
            "Entities whose scores late events changed behind time.",
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "headwater_commit_seconds", "A group of events onto the disk.", buckets=SECONDS, registry=registry
        )
        self.freshness_seconds = Histogram(
            "headwater_freshness_seconds",
            "From an event's coming in to the fresh score of its entity: the longest of each group.",
            buckets=SECONDS,
            registry=registry,
        )
        self.group_events = Histogram(
            "headwater_group_events",
            "New events that shared one wait for the disk.",
            buckets=(1, 2, 4, 8, 16, 64, 256, 1_000, 5_000, 20_000),
            registry=registry,
        )
        self.scores = Counter("headwater_scores", "Scores that events made fresh.", registry=registry)
        self.decisions = Counter(
            "headwater_decisions", "Decisions by policy and band.", ["policy", "band"], registry=registry
        )
        self.decision_seconds = Histogram(
            "headwater_decision_seconds",
            "From being asked for a decision to its record on the disk: the longest of each group.",
            buckets=SECONDS,
            registry=registry,
        )
        self.parity_compared = Counter(
            "headwater_parity_compared",
            "Served vectors derived again from the log.",
            registry=registry,
        )
        self.parity_mismatches = Counter(
            "headwater_parity_mismatches",
            "Those with other bits: must stay 0.",
            registry=registry,
        )
        self.parity_gone = Counter(
            "headwater_parity_gone",
            "Sampled vectors that were not derived again: no room, or their model is not at hand.",
            registry=registry,
        )
        self.monitors_up = Gauge(
            "headwater_monitors_up",
            "Whether the process runs that keeps the late ledger and checks parity.",
            registry=registry,
        )
        self.database_up = Gauge(
            "headwater_database_up",
            "Whether the database of the records can be reached; 1 where they lie in the data folder.",
            registry=registry,
        )
        self.database_up.set(1)
        self.registry_up = Gauge(
            "headwater_registry_up",
            "Whether the registry of models answers; while it is 0, what was served before goes on.",
            registry=registry,
        )
        self.late_events = Counter("headwater_late_events", "Rows of the late ledger.", registry=registry)
        self.late_decisions = Counter(
            "headwater_late_decisions", "Decisions that late events would have changed.", registry=registry
        )
        self.late_backlog = Gauge(
            "headwater_late_backlog_events",
            "Events that the late ledger did not look through yet.",
            registry=registry,
        )
        self.parity_waiting = Gauge(
            "headwater_parity_waiting", "Served vectors that wait to be derived again.", registry=registry
        )
        self.shadow_compared = Counter(
            "headwater_shadow_compared",
            "Decisions that a challenger scored in the shadow.",
            ["model"],
            registry=registry,
        )
        self.shadow_failed = Counter(
            "headwater_shadow_failed",
            "Decisions that a challenger could not score.",
            ["model"],
            registry=registry,
        )
        self.shadow_flips = Counter(
            "headwater_shadow_flips",
            "Decisions that would have had another band from the challenger.",
            ["model"],
            registry=registry,
        )
        self.shadow_reasons = Counter(
            "headwater_shadow_reasons_changed",
            "Decisions that would have had another first reason.",
            ["model"],
            registry=registry,
        )
        self.shadow_waiting = Gauge(
            "headwater_shadow_waiting", "Decisions that no challenger looked at yet.", registry=registry
        )
        self.canary_decisions = Counter(
            "headwater_canary_decisions",
            "Decisions that the challenger answered, as a canary, by model and band.",
            ["model", "band"],
            registry=registry,
        )
        self._service: Deciding | None = None
        self.snapshots = Counter("headwater_snapshots", "Snapshots of the state.", registry=registry)
        self.snapshot_seconds = Gauge(
            "headwater_snapshot_seconds", "How long the last snapshot took.", registry=registry
        )
        self.jobs = Counter(
            "headwater_jobs",
            "Runs of jobs that ended, by name and state.",
            ["name", "state"],
            registry=registry,
        )
        self.jobs_seconds = Gauge(
            "headwater_jobs_seconds", "How long the last run of a job took.", ["name"], registry=registry
        )
        self.jobs_success = Gauge(
            "headwater_jobs_success_timestamp_seconds",
            "When a job was done last.",
            ["name"],
            registry=registry,
        )
        self.jobs_running = Gauge("headwater_jobs_running", "Jobs that run.", registry=registry)
        self.jobs_waiting = Gauge(
            "headwater_jobs_waiting", "Jobs that are due, or are to be tried again.", registry=registry
        )
        self.jobs_up = Gauge(
            "headwater_jobs_up", "Whether the process runs that plans and runs jobs.", registry=registry
        )
        self.caches: dict[str, Cache] = {}

    def watch(self, service: Deciding) -> None:
        """Look up a service's queues, offsets and models whenever the page is read."""
        self._service = service
        self.registry.register(OfDeciding(service, self.caches))
        if isinstance(service, Service):
            self.registry.register(OfLog(service))

    def request(self, method: str, route: str, status: int, took: int) -> None:
        """Count a request."""
        key = method, route, status
        made = self._counted.get(key)  # looking a child up by its labels takes longer than to count
        if made is None:
            made = self.requests.labels(method, route, str(status)), self.request_seconds.labels(route)
            self._counted[key] = made
        made[0].inc()
        made[1].observe(took * _NANO)

    def turn(self, turn: Turn) -> None:
        """Count a turn of the writer."""
        for outcome, count in (
            ("accepted", turn.events),
            ("duplicate", turn.duplicates),
            ("refused", turn.refused),
        ):
            if count:
                self.events.labels(outcome).inc(count)
        self.commit_seconds.observe(turn.commit * _NANO)
        self.group_events.observe(turn.events)
        if turn.scores:
            self.freshness_seconds.observe((turn.waited + turn.commit + turn.refresh) * _NANO)
            self.scores.inc(turn.scores)
        if turn.late:
            self.late.inc(turn.late)

    def job(self, name: str, state: str, seconds: float, at: int) -> None:
        """Count a run of a job that ended, at so many microseconds."""
        self.jobs.labels(name, state).inc()
        self.jobs_seconds.labels(name).set(seconds)
        if state == "done":
            self.jobs_success.labels(name).set(at / 1e6)

    def recorded(self, turn: Recorded) -> None:
        """Count a turn of the recorder."""
        for record in turn.records:
            self.decisions.labels(record.decision.policy, record.decision.band).inc()
        if self._service is not None and self._service.serving.canaries:
            self._canary(turn, self._service.serving.canaries)
        self.decision_seconds.observe((turn.waited + turn.took) * _NANO)

    def _canary(self, turn: Recorded, canaries: Mapping[str, Trial]) -> None:
        for decision in (record.decision for record in turn.records):
            found = canaries.get(decision.model)
            if found is not None and found.canary.digest == decision.model_digest:
                self.canary_decisions.labels(decision.model, decision.band).inc()
