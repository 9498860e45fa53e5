"""The Grafana dashboard, from a table of panels: ``python -m tools.dashboard`` writes ``deploy/grafana``.

Whoever adds a metric adds it here, or says in :data:`EXCEPT` why nobody looks at it;
``tests/http/test_deploy.py`` holds the queries against the metrics that a service exports, and the file
against this table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

FILE = Path(__file__).parent.parent / "deploy" / "grafana" / "headwater.json"
HERE = 'job=~"$job",instance=~"$instance"'
SPAN = "$__rate_interval"
READY = "headwater_(stream_)?ready"  # what every server, and every stream host, has
COMMITTED, MOVED = "headwater_stream_commit_timestamp_seconds", "headwater_stream_rebalances_total"
_WIDE, _HIGH = 24, 8

# Exported, and on no panel, with the reason.
EXCEPT: Mapping[str, str] = MappingProxyType(
    {
        "headwater_process_start_time_seconds": "a restart shows in the counters",
        "headwater_process_virtual_memory_bytes": "the resident memory says more",
        "headwater_process_max_fds": "a setting of the machine",
        "headwater_online_epoch": "a name: it says which owner wrote, and nothing that could be too much",
    }
)


@dataclass(frozen=True)
class Panel:
    """One panel: its title, unit, width, and PromQL with what each line is called."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]
    width: int = 8
    kind: str = "timeseries"
    about: str = ""
    bad_above: float | None = None


def quantiles(metric: str, by: str = "") -> list[tuple[str, str]]:
    """p50, p95 and p99 of a histogram."""
    labels = f"le, {by}" if by else "le"
    told = f" {{{{{by}}}}}" if by else ""
    return [
        (
            f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{{HERE}}}[{SPAN}])))",
            f"p{round(q * 100)}{told}",
        )
        for q in (0.5, 0.95, 0.99)
    ]


def p99(metric: str, legend: str = "p99") -> tuple[str, str]:
    """The last of them alone."""
    return quantiles(metric)[2][0], legend


def rate(metric: str, by: str = "", legend: str = "") -> tuple[str, str]:
    """How many a second."""
    total = f"sum by ({by})" if by else "sum"
    called = legend or "{{" + by.replace(", ", "}} {{") + "}}"
    return f"{total} (rate({metric}{{{HERE}}}[{SPAN}]))", called


def now(metric: str, legend: str, by: str = "instance") -> tuple[str, str]:
    """What it is now."""
    return f"sum by ({by}) ({metric}{{{HERE}}})", legend


def each(total: str, count: str, legend: str) -> tuple[str, str]:
    """How much of one there is to each of another."""
    return f"sum (rate({total}{{{HERE}}}[{SPAN}])) / sum (rate({count}{{{HERE}}}[{SPAN}]))", legend


HITS = (
    f'sum by (cache) (rate(headwater_cache_lookups_total{{{HERE},outcome="hit"}}[{SPAN}]))'
    f" / sum by (cache) (rate(headwater_cache_lookups_total{{{HERE}}}[{SPAN}]))"
)

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "At a glance",
        (
            Panel(
                "Ready", "none", [now("headwater_ready", "{{instance}}")], 3, "stat", "1: it takes events."
            ),
            Panel(
                "Parity mismatches",
                "none",
                [(f"sum(headwater_parity_mismatches_total{{{HERE}}})", "mismatches")],
                3,
                "stat",
                "Served vectors that the log gives other bits for. Must be 0.",
                0.5,
            ),
            Panel(
                "Dead letters",
                "none",
                [(f"sum(headwater_dead_letters{{{HERE}}})", "letters")],
                3,
                "stat",
                "Refused events that nobody settled yet.",
            ),
            Panel(
                "Freshness p99",
                "s",
                [p99("headwater_freshness_seconds")],
                3,
                "stat",
                "From an event's coming in to the fresh score of its entity.",
                0.05,
            ),
            Panel(
                "Decision p99",
                "s",
                [p99("headwater_decision_seconds")],
                3,
                "stat",
                "From being asked to the record on the disk.",
                0.05,
            ),
            Panel(
                "Monitors and registry",
                "none",
                [
                    now("headwater_monitors_up", "monitors {{instance}}"),
                    now("headwater_registry_up", "registry {{instance}}"),
                    now("headwater_database_up", "database {{instance}}"),
                ],
                3,
                "stat",
                "1: they run, and these answer.",
            ),
            Panel(
                "Served versions",
                "none",
                [(f"headwater_model_info{{{HERE}}}", "{{model}} {{digest}} of definition {{definition}}")],
                6,
                "table",
                "The seal of each model's version, and of its definition.",
            ),
        ),
    ),
    (
        "Events",
        (
            Panel("Events by outcome", "ops", [rate("headwater_events_total", "outcome")]),
            Panel(
                "Freshness",
                "s",
                quantiles("headwater_freshness_seconds"),
                about="From an event's coming in to its entity's fresh score: the longest of each group.",
            ),
            Panel(
                "Commit", "s", quantiles("headwater_commit_seconds"), about="A group of events onto the disk."
            ),
            Panel(
                "Events that share a commit",
                "short",
                quantiles("headwater_group_events"),
                about="New events that shared one wait for the disk.",
            ),
            Panel(
                "Queue",
                "short",
                [
                    now("headwater_waiting_events", "events {{instance}}"),
                    now("headwater_waiting_decisions", "decisions {{instance}}"),
                ],
                about="What waits to be committed, or decided.",
            ),
            Panel("Queue, bytes", "bytes", [now("headwater_waiting_bytes", "{{instance}}")]),
            Panel(
                "Lag",
                "short",
                [now("headwater_lag_events", "{{instance}}")],
                about="Events in the log that no score rests on yet.",
            ),
            Panel("Events in the log", "short", [now("headwater_log_events", "{{instance}}")]),
            Panel(
                "Fresh scores",
                "ops",
                [
                    rate("headwater_scores_total", legend="scores"),
                    (f"sum(headwater_listeners{{{HERE}}})", "listeners"),
                ],
            ),
            Panel(
                "Dead letters by reason",
                "short",
                [(f"sum by (reason) (headwater_dead_letters{{{HERE}}})", "{{reason}}")],
            ),
        ),
    ),
    (
        "Decisions",
        (
            Panel("Decisions by band", "ops", [rate("headwater_decisions_total", "policy, band")]),
            Panel(
                "Decision latency",
                "s",
                quantiles("headwater_decision_seconds"),
                about="From being asked to the record on the disk: the longest of each group.",
            ),
            Panel("Cache hits", "percentunit", [(HITS, "{{cache}}")]),
        ),
    ),
    (
        "Online store",
        (
            Panel(
                "Online store",
                "none",
                [
                    now("headwater_online_up", "answers {{instance}}"),
                    now("headwater_online_whole", "whole {{instance}}"),
                ],
                about="1: it answers, and holds the whole state of the project.",
            ),
            Panel(
                "Behind the log",
                "short",
                [now("headwater_online_lag_events", "{{instance}}")],
                about="Events that scores rest on at the owner and that are not published yet.",
            ),
            Panel(
                "Since the owner said so",
                "s",
                [now("headwater_online_age_seconds", "{{instance}}")],
                about="A living owner says every second up to where it has published.",
            ),
            Panel("Published up to", "short", [now("headwater_online_offset", "{{instance}}")]),
            Panel(
                "What is published and fetched",
                "ops",
                [
                    rate("headwater_online_publications_total", legend="writes"),
                    rate("headwater_online_published_keys_total", legend="states in them"),
                    rate("headwater_online_fetches_total", legend="fetches"),
                    rate("headwater_online_refused_total", legend="not to be decided"),
                ],
            ),
            Panel(
                "How long it takes",
                "s",
                [
                    each(
                        "headwater_online_publish_seconds_total",
                        "headwater_online_publications_total",
                        "a write",
                    ),
                    each("headwater_online_fetch_seconds_total", "headwater_online_fetches_total", "a fetch"),
                ],
                about="A fetch: what decisions wait for, once for all that are made together.",
            ),
            Panel(
                "Size of a state",
                "bytes",
                [
                    each(
                        "headwater_online_published_bytes_total",
                        "headwater_online_published_keys_total",
                        "a state",
                    )
                ],
                about="It grows with the events in a key's windows.",
            ),
            Panel(
                "Fillings",
                "none",
                [
                    (
                        f"sum by (instance) (increase(headwater_online_fillings_total{{{HERE}}}[1h]))",
                        "{{instance}}",
                    )
                ],
                about="In an hour: one when an owner begins, and one whenever the store had lost something.",
            ),
        ),
    ),
    (
        "Stream hosts",
        (
            Panel(
                "Hosts",
                "none",
                [
                    now("headwater_stream_ready", "ready {{instance}}"),
                    now("headwater_stream_partitions", "partitions {{instance}}"),
                    now("headwater_stream_behind_partitions", "of them being read up {{instance}}"),
                ],
                about="`headwater stream`: the partitions of the project are shared by the hosts of a group.",
            ),
            Panel(
                "Lag",
                "short",
                [
                    (
                        f"sum by (stream, partition) (headwater_stream_lag_records{{{HERE}}})",
                        "{{stream}} {{partition}}",
                    )
                ],
                about="Records in the topics that are not taken in yet.",
            ),
            Panel(
                "Records",
                "ops",
                [
                    rate("headwater_stream_records_total", legend="taken in"),
                    rate("headwater_stream_events_total", "outcome"),
                    rate("headwater_stream_scores_total", legend="scores told"),
                ],
            ),
            Panel(
                "Dead letters by reason",
                "ops",
                [rate("headwater_stream_dead_letters_total", "stream, reason")],
                about="Records that were not taken in; they lie in the topic of dead letters.",
            ),
            Panel(
                "From the broker to the visible score",
                "s",
                quantiles("headwater_stream_visible_seconds"),
                about="The longest of each turn, by the clocks of broker and host.",
            ),
            Panel(
                "A turn: taken in, and committed",
                "s",
                [
                    p99("headwater_stream_turn_seconds", "taking in, p99"),
                    p99("headwater_stream_commit_seconds", "its transaction, p99"),
                    p99("headwater_stream_batch_seconds", "a batch of Spark's, p99"),
                ],
            ),
            Panel(
                "Commits",
                "ops",
                [
                    rate("headwater_stream_commit_seconds_count", legend="transactions"),
                    rate("headwater_stream_batch_seconds_count", legend="batches of Spark's"),
                    rate("headwater_stream_undone_total", legend="undone"),
                ],
            ),
            Panel(
                "Since the last commit, and the last turn",
                "s",
                [
                    (
                        f"time() - max by (instance) ({COMMITTED}{{{HERE}}} > 0)",
                        "committed {{instance}}",
                    ),
                    now("headwater_stream_turn_age_seconds", "turned {{instance}}"),
                ],
            ),
            Panel("Records of a turn", "short", quantiles("headwater_stream_turn_records")),
            Panel(
                "Partitions come and go",
                "none",
                [
                    (
                        f"sum by (instance, event) (increase({MOVED}{{{HERE}}}[10m]))",
                        "{{event}} {{instance}}",
                    )
                ],
                about="In ten minutes.",
            ),
            Panel(
                "Restoring a partition",
                "s",
                quantiles("headwater_stream_restore_seconds"),
                about="Until its state is where the group stood: by a snapshot, and the records behind it.",
            ),
            Panel(
                "State",
                "short",
                [
                    (f"sum by (view) (headwater_stream_keys{{{HERE}}})", "keys of {{view}}"),
                    now("headwater_stream_state_rows", "rows on Spark {{instance}}"),
                ],
            ),
            Panel(
                "Memory of the state on Spark", "bytes", [now("headwater_stream_state_bytes", "{{instance}}")]
            ),
        ),
    ),
    (
        "Late events and parity",
        (
            Panel(
                "Late",
                "ops",
                [
                    rate("headwater_late_entities_total", legend="entities whose scores changed behind time"),
                    rate("headwater_late_events_total", legend="rows of the late ledger"),
                    rate("headwater_late_decisions_total", legend="decisions that would have changed"),
                ],
            ),
            Panel(
                "Parity",
                "ops",
                [
                    rate("headwater_parity_compared_total", legend="compared"),
                    rate("headwater_parity_mismatches_total", legend="mismatches"),
                    rate("headwater_parity_gone_total", legend="not compared"),
                ],
                about="Served vectors, derived again from the log and compared bit for bit.",
            ),
            Panel(
                "Behind",
                "short",
                [
                    now("headwater_late_backlog_events", "events before the late ledger {{instance}}"),
                    now("headwater_parity_waiting", "vectors before the parity check {{instance}}"),
                ],
            ),
        ),
    ),
    (
        "Challengers",
        (
            Panel(
                "In the shadow",
                "ops",
                [
                    rate("headwater_shadow_compared_total", "model", "{{model}} scored"),
                    rate("headwater_shadow_failed_total", "model", "{{model}} failed"),
                    rate("headwater_shadow_flips_total", "model", "{{model}} another band"),
                    rate("headwater_shadow_reasons_changed_total", "model", "{{model}} another first reason"),
                ],
                about="What challengers would have said of live decisions.",
            ),
            Panel(
                "Canary decisions by band",
                "ops",
                [rate("headwater_canary_decisions_total", "model, band")],
                about="Decisions that a challenger answered.",
            ),
            Panel(
                "Canary share, and what the shadow has to do",
                "short",
                [
                    (f"max by (model) (headwater_canary_share{{{HERE}}})", "share of {{model}}"),
                    now("headwater_shadow_waiting", "decisions before the shadow {{instance}}"),
                ],
            ),
        ),
    ),
    (
        "Jobs",
        (
            Panel(
                "Jobs",
                "none",
                [
                    now("headwater_jobs_up", "their process runs {{instance}}"),
                    now("headwater_jobs_running", "running {{instance}}"),
                    now("headwater_jobs_waiting", "waiting {{instance}}"),
                ],
            ),
            Panel(
                "Jobs that ended",
                "none",
                [
                    (
                        f"sum by (name, state) (increase(headwater_jobs_total{{{HERE}}}[1d]))",
                        "{{name}} {{state}}",
                    )
                ],
                about="In a day.",
            ),
            Panel(
                "How long jobs take, and since when they are done",
                "s",
                [
                    (f"max by (name) (headwater_jobs_seconds{{{HERE}}})", "{{name}} took"),
                    (
                        f"time() - max by (name) (headwater_jobs_success_timestamp_seconds{{{HERE}}})",
                        "{{name}} since",
                    ),
                ],
            ),
        ),
    ),
    (
        "Requests and process",
        (
            Panel("Requests", "reqps", [rate("headwater_requests_total", "method, route, status")]),
            Panel("Request latency", "s", quantiles("headwater_request_seconds", "route")),
            Panel("Faults", "ops", [rate("headwater_faults_total", "where")], bad_above=0.0),
            Panel(
                "Memory",
                "bytes",
                [now("headwater_process_resident_memory_bytes", "{{instance}}")],
            ),
            Panel(
                "Processors and files",
                "short",
                [
                    (
                        f"rate(headwater_process_cpu_seconds_total{{{HERE}}}[{SPAN}])",
                        "processors {{instance}}",
                    ),
                    now("headwater_process_open_fds", "open files {{instance}}"),
                ],
            ),
            Panel(
                "Snapshots",
                "s",
                [
                    now("headwater_snapshot_seconds", "the last took, {{instance}}"),
                    (f"sum(increase(headwater_snapshots_total{{{HERE}}}[1h]))", "kept in an hour"),
                ],
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        place = {"h": 1, "w": _WIDE, "x": 0, "y": y}
        panels.append({"type": "row", "title": title, "gridPos": place, "collapsed": False, "panels": []})
        y, x = y + 1, 0
        for panel in row:
            if x + panel.width > _WIDE:
                x, y = 0, y + _HIGH
            panels.append(_panel(panel, {"h": _HIGH, "w": panel.width, "x": x, "y": y}))
            x += panel.width
        y += _HIGH
    for number, panel_ in enumerate(panels, 1):
        panel_["id"] = number
    return {
        "uid": "headwater",
        "title": "Headwater",
        "description": "Events in, decisions out: made by tools/dashboard.py.",
        "tags": ["headwater"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_source(), _variable("job", ""), _variable("instance", ',job=~"$job"')]},
        "panels": panels,
    }


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.bad_above is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.bad_above}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel.kind),
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "expr": expr,
                "legendFormat": legend,
                "instant": panel.kind != "timeseries",
                "range": panel.kind == "timeseries",
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for at, (expr, legend) in enumerate(panel.queries)
        ],
    }


def _options(kind: str) -> dict[str, Any]:
    if kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    if kind == "table":
        return {"showHeader": True}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"}


def _variable(label: str, where: str) -> dict[str, Any]:
    return {
        "name": label,
        "label": label.capitalize(),
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "query": f'label_values({{__name__=~"{READY}"{where}}}, {label})',
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def text() -> str:
    """The file."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
