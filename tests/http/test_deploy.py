"""What lies in ``deploy`` asks for metrics that there are, with their own labels; and for all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from headwater.apps.http.online import OwnerMetrics, ReplicaMetrics
from headwater.apps.http.pulse import Pulse
from headwater.apps.http.streaming import StreamMetrics
from headwater.models.canary import Canary
from headwater.scale.kafka.standing import Standing
from headwater.scale.kafka.turns import Tally, Turn
from headwater.scale.redis.progress import Published
from headwater.scale.redis.source import Seen
from headwater.scale.spark.progress import Look
from headwater.serving.served import Trial
from tests.http.house import House
from tests.serving.bank import scoring
from tools import dashboard

DEPLOY = Path(__file__).parents[2] / "deploy"
TARGET = {"job", "instance"}  # Prometheus' own, on everything that it scrapes
_VARIABLES = {"$__rate_interval": "5m", "$job": "headwater", "$instance": "here"}
_LABEL = re.compile(r"{{\s*(?:\$labels\.)?(\w+)\s*}}")

Known = dict[str, dict[str, set[str]]]  # sample name to its labels and their values


@pytest.fixture(scope="module")
def exported(house: House) -> Known:
    """What a service that has done a bit of everything exports."""
    event = {"id": 1, "who": 3, "time": "2026-04-11T10:00:00Z", "amount": 21.5, "way": "card"}
    for events in ([event | {"id": 700_001}], [event | {"id": 700_001}], [event | {"amount": "much"}]):
        house.http.post("/v1/events?refresh=true", json={"stream": "payments", "events": events})
    canary = Trial(Canary("risk", 2, scoring().digest, scoring().digest, 1.0, 0), scoring())
    house.service.swap(house.service.serving.scorings, canaries={"risk": canary})
    house.client.decide({"who": 3})
    metrics = house.faults.metrics
    metrics.faults.labels("snapshot").inc(0)
    for one in (
        metrics.shadow_compared,
        metrics.shadow_failed,
        metrics.shadow_flips,
        metrics.shadow_reasons,
    ):
        one.labels("risk").inc(0)
    house.faults.metrics.job("drift.risk", "failed", 1.5, 10**15)
    house.faults.metrics.job("drift.risk", "done", 1.5, 10**15)
    house.faults.metrics.caches.setdefault("credentials", lambda: (3, 1))
    found: Known = {}
    pages = house.http.get("/metrics").text, *online(), streaming()
    for family in (one for page in pages for one in text_string_to_metric_families(page)):
        for sample in family.samples:
            if sample.name.endswith("_created"):  # the library's own: since when it counts
                continue
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    assert house.service.log.remove_dead_letters() == 1
    return found


def online() -> Iterator[str]:
    """The pages of the online store's two halves, which are never on one server."""
    for half in (OwnerMetrics(Published, lambda: 0, lambda: 0), ReplicaMetrics(Seen, lambda: 0)):
        registry = CollectorRegistry()
        registry.register(half)
        yield generate_latest(registry).decode()


def streaming() -> str:
    """The page of a stream host that has done a bit of everything, and a look of Spark's."""
    pulse = Pulse(lambda: 0)
    metrics = StreamMetrics(pulse, lambda: 10**15, lambda: 10**9)
    metrics.moved("assigned", [0])
    metrics.turn(Turn.of({"payments": Tally(9, 5, 1, 4, {"not-json": 3})}, 10**15 - 2, 1, 2, 3))
    metrics.fault("commit", ValueError())
    metrics.looked(Look("2026-01-01", 0.5, {(0, "bank.payments"): 3}, 9, 900))
    metrics.standing(Standing({(0, "payments"): 3}, (), {"behaviour": 4}))
    return metrics.page().decode()


def metric_of(sample: str) -> str:
    """The metric that a sample is of."""
    return re.sub(r"_(bucket|sum|count)$", "", sample)


def queries() -> Iterator[tuple[str, str, str]]:
    """Title, PromQL and legend of every panel of the file."""
    file = json.loads((DEPLOY / "grafana" / "headwater.json").read_text(encoding="utf-8"))
    for panel in file["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]


def rules() -> list[dict[str, Any]]:
    file = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in file["groups"] for rule in group["rules"]]


def parsed(query: str) -> promql.Expr:
    for name, value in _VARIABLES.items():
        query = query.replace(name, value)
    assert "$" not in query
    return promql.parse(query)


def below(node: promql.Expr) -> Iterator[promql.Expr]:
    """A node and everything below it."""
    yield node
    for part in ("lhs", "rhs", "expr", "param", "vector_selector"):
        if isinstance(inner := getattr(node, part, None), promql.Expr):
            yield from below(inner)
    for inner in getattr(node, "args", ()):
        yield from below(inner)


def faults(query: str, known: Known) -> list[str]:
    """What a query asks for that there is not."""
    found, tree = [], parsed(query)
    has: set[str] = set(TARGET)
    for node in below(tree):
        if not isinstance(node, promql.VectorSelector):
            continue
        name = node.name or ""
        if name == "up":
            continue
        if name not in known:
            found.append(f"no metric {name}")
            continue
        has |= known[name].keys()
        for matcher in node.matchers.matchers:
            if matcher.name in TARGET:
                continue
            values = known[name].get(matcher.name)
            if values is None:
                found.append(f"{name} has no label {matcher.name}")
            elif matcher.op == promql.MatchOp.Equal and matcher.value not in values:
                found.append(f"{name} is never with {matcher.name}={matcher.value}")
    for node in below(tree):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            inner = {
                label
                for one in below(node.expr)
                if isinstance(one, promql.VectorSelector)
                for label in known.get(one.name or "", ())
            } | TARGET
            found += [f"no label {label} to group by" for label in node.modifier.labels if label not in inner]
    return found


def labels_left(query: str, known: Known) -> set[str]:
    """The labels of what a query gives: those it groups by, or all of its metric."""
    tree = parsed(query)
    for node in below(tree):
        if isinstance(node, promql.AggregateExpr):
            return set() if node.modifier is None else set(node.modifier.labels) - {"le"}
        if isinstance(node, promql.VectorSelector):
            return TARGET | set(known.get(node.name or "", ()))
    return set()


def asked() -> set[str]:
    """The metrics on the panels."""
    return {
        metric_of(node.name or "")
        for _, query, _ in queries()
        for node in below(parsed(query))
        if isinstance(node, promql.VectorSelector)
    }


@pytest.mark.parametrize(("title", "query", "legend"), list(queries()))
def test_a_panel_asks_for_what_there_is(exported: Known, title: str, query: str, legend: str) -> None:
    assert faults(query, exported) == [], title
    assert set(_LABEL.findall(legend)) <= labels_left(query, exported), title


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_asks_for_what_there_is(exported: Known, rule: dict[str, Any]) -> None:
    assert faults(rule["expr"].replace('status=~"5.."', 'status=~"200"'), exported) == []
    told = " ".join(rule["annotations"].values())
    named = set(re.findall(r"\$labels\.(\w+)", told))
    assert named <= labels_left(rule["expr"], exported) | TARGET
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))


def test_what_must_be_watched_has_an_alert() -> None:
    told = " ".join(rule["expr"] for rule in rules())
    for metric in (
        "headwater_parity_mismatches_total > 0",
        "headwater_ready == 0",
        "histogram_quantile(0.99, sum by (le, instance) (rate(headwater_freshness_seconds_bucket[5m]))) > ",
        "headwater_dead_letters",
    ):
        assert metric in told


# Something that is up or not, and wakes nobody, with the reason.
QUIET = {
    "headwater_monitors_up": "0 at a server that only decides; what it would have found shows in the backlog",
    "headwater_jobs_up": "0 at a server that runs no jobs; those that fail have an alert",
}


def test_what_is_up_or_not_has_an_alert_or_a_reason(exported: Known) -> None:
    states = {name for name in exported if re.search(r"_(up|ready|whole)$", name)}
    alerted = {
        node.name
        for rule in rules()
        for node in below(parsed(rule["expr"]))
        if isinstance(node, promql.VectorSelector)
    }
    assert states - alerted == set(QUIET)
    assert {name for name in alerted if name != "up"} <= exported.keys()


def test_every_metric_is_on_a_panel_or_has_a_reason_not_to_be(exported: Known) -> None:
    ours = {metric_of(name) for name in exported}
    assert {name for name in ours if not name.startswith("headwater_")} == set()
    assert ours - asked() == ours & set(dashboard.EXCEPT)
    assert asked() & set(dashboard.EXCEPT) == set()


def test_the_file_is_made_from_the_table() -> None:
    written = (DEPLOY / "grafana" / "headwater.json").read_text(encoding="utf-8")
    assert written == dashboard.text(), "run `python -m tools.dashboard`"


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard.dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert all(x < 24 for x, _ in cells)
        taken |= cells


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("rate(headwater_evnets_total[5m])", "no metric headwater_evnets_total"),
        ("sum by (bnad) (headwater_decisions_total)", "no label bnad to group by"),
        (
            'headwater_events_total{outcome="rejected"}',
            "headwater_events_total is never with outcome=rejected",
        ),
        ('headwater_ready{route="x"}', "headwater_ready has no label route"),
    ],
)
def test_a_wrong_query_is_found(exported: Known, query: str, fault: str) -> None:
    assert faults(query, exported) == [fault]


def test_the_rest_of_the_files_can_be_read() -> None:
    scrape = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    assert scrape["rule_files"] == ["alerts.yml"]
    assert [job["job_name"] for job in scrape["scrape_configs"]] == ["headwater"]
    for part, key in (("datasources", "datasources"), ("dashboards", "providers")):
        file = DEPLOY / "grafana" / "provisioning" / part / "headwater.yml"
        assert len(yaml.safe_load(file.read_text(encoding="utf-8"))[key]) == 1
