"""Traces: each request a span, each step of it a span below, sent over OTLP to a collector in this process.

::

    POST /v1/events     |----------------------------------|
      validate           |--|
      wait                   |--|
      commit                     |-----|
      apply                             |--|
      score                                 |---|
"""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

import headwater as hw
from headwater.apps.http import logs
from headwater.apps.http.traces import Traces
from headwater.apps.tracing import traces, wanted
from headwater.core.errors import DataError
from tests.http.collector import Collector, Span, collecting
from tests.http.house import House, serving

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@dataclass
class Traced:
    """A traced service, its collector, and what sends."""

    house: House
    collector: Collector
    traces: Traces

    def spans(self, trace: str, *names: str) -> dict[str, Span]:
        """The spans of a trace, once the request's own is there, and those of these names."""
        for _ in range(500):
            self.traces.flush()
            found = self.collector.of(trace)
            if any("http.route" in span.facts for span in found.values()) and found.keys() >= set(names):
                return found
            time.sleep(0.01)
        raise AssertionError(f"no such trace: {trace}, {names}")


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    with collecting() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_SERVICE_NAME", "lender")
        patch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
        made = traces({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, time.perf_counter_ns)
        assert made is not None
        with made, serving(tmp_path_factory.mktemp("bank"), around={"traced": made.around}) as house:
            yield Traced(house, collector, made)


def paid(id: int) -> dict[str, object]:
    return {"id": id, "who": 3, "time": "2026-04-11T10:00:00Z", "amount": 21.5, "way": "card"}


def sent(traced: Traced, number: int, path: str, body: object, *names: str) -> dict[str, Span]:
    """A request within a trace of its own; the spans of it."""
    trace = f"{number:032x}"
    head = {"traceparent": f"00-{trace}-{PARENT}-01", "X-Request-Id": f"r{number}"}
    answer = traced.house.http.post(path, json=body, headers=head)
    assert answer.headers["traceparent"].split("-")[1] == trace
    return traced.spans(trace, *names)


def test_events_are_followed_from_the_request_to_the_fresh_score(traced: Traced) -> None:
    body = {"stream": "payments", "events": [paid(900_001), paid(900_002)]}
    spans = sent(traced, 1, "/v1/events?refresh=true", body, "score")
    root = spans.pop("POST /v1/events")
    assert sorted(spans, key=lambda name: spans[name].start) == [
        "validate",
        "wait",
        "commit",
        "apply",
        "score",
    ]
    assert (root.parent, root.trace) == (PARENT, f"{1:032x}")
    assert {span.parent for span in spans.values()} == {root.id}
    assert root.facts["http.response.status_code"] == 200
    assert root.facts["headwater.request_id"] == "r1"
    assert spans["commit"].facts["headwater.stream"] == "payments"
    end = traced.house.service.log.end()
    apply = spans["apply"].facts
    assert (apply["headwater.first_offset"], apply["headwater.last_offset"]) == (end - 2, end - 1)
    for span in spans.values():
        assert root.start <= span.start <= span.end
    assert root.resource["service.name"] == "lender"
    assert root.resource["deployment.environment"] == "test"


def test_an_arrow_body_is_followed_into_its_thread(traced: Traced) -> None:
    frame = pl.DataFrame([paid(900_010)]).with_columns(
        pl.col("time").str.to_datetime(time_unit="us", time_zone="UTC")
    )
    body = io.BytesIO()
    frame.write_ipc_stream(body)
    head = {
        "Content-Type": "application/vnd.apache.arrow.stream",
        "traceparent": f"00-{2:032x}-{PARENT}-01",
    }
    answer = traced.house.http.post("/v1/events?stream=payments", content=body.getvalue(), headers=head)
    assert answer.json()["accepted"] == 1
    spans = traced.spans(f"{2:032x}", "apply")
    assert {"validate", "commit", "apply"} <= set(spans)


def test_a_decision_is_followed_to_its_record(traced: Traced) -> None:
    spans = sent(traced, 3, "/v1/decisions", {"policy": "lend", "keys": {"who": 3}}, "record")
    root = spans.pop("POST /v1/decisions")
    assert sorted(spans, key=lambda name: spans[name].start) == ["validate", "wait", "score", "record"]
    assert spans["score"].facts["headwater.model"] == "risk"
    assert spans["score"].facts["headwater.policy"] == "lend"
    assert spans["score"].facts["headwater.offset"] == traced.house.service.log.end() - 1
    assert spans["record"].facts["headwater.decision"].startswith("d")
    assert not root.failed


def test_a_failure_is_told_by_its_kind_and_never_by_its_text(traced: Traced) -> None:
    spans = sent(traced, 4, "/v1/decisions", {"policy": "Ada Lovelace", "keys": {"who": 3}})
    assert spans["POST /v1/decisions"].facts["http.response.status_code"] == 404
    assert not any(span.events for span in spans.values())
    assert not any(b"Lovelace" in raw for raw in traced.collector.raw)


def test_paths_and_keys_stay_out(traced: Traced) -> None:
    head = {"traceparent": f"00-{5:032x}-{PARENT}-01"}
    traced.house.http.get("/v1/features/spending/778899?at=2026-04-01T00:00:00Z", headers=head)
    (root,) = [span for span in traced.spans(f"{5:032x}").values() if span.parent == PARENT]
    assert root.name == "GET /v1/features/{view}/{key}"
    assert not any(b"778899" in raw for raw in traced.collector.raw)


def test_a_caller_who_does_not_sample_is_not_traced_but_goes_on(traced: Traced) -> None:
    head = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    answer = traced.house.http.get("/healthz", headers=head)
    assert answer.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert answer.headers["traceparent"].endswith("-00")
    traced.traces.flush()
    assert traced.collector.of(TRACE) == {}


@pytest.mark.parametrize("parent", ["", "00-0-0-01", f"ff-{TRACE}-{PARENT}-01", "x" * 300])
def test_a_parent_that_is_none_begins_a_trace(traced: Traced, parent: str) -> None:
    answer = traced.house.http.get("/healthz", headers={"traceparent": parent})
    assert answer.status_code == 200
    trace = answer.headers["traceparent"].split("-")[1]
    assert trace != TRACE
    assert traced.spans(trace)["GET /healthz"].parent == ""


def test_the_client_hands_its_own_trace_on(traced: Traced) -> None:
    here = SpanContext(int(TRACE, 16) + 1, int(PARENT, 16), is_remote=False, trace_flags=TraceFlags(1))
    context = otel.set_span_in_context(NonRecordingSpan(here), Context())
    with otel.use_span(otel.get_current_span(context)):
        traced.house.client.decide({"who": 3})
    assert traced.spans(f"{int(TRACE, 16) + 1:032x}")["POST /v1/decisions"].parent == PARENT


def test_log_lines_name_the_trace(traced: Traced) -> None:
    log = logging.getLogger("headwater")
    before = log.handlers[:], log.propagate, log.level
    stream = io.StringIO()
    logs.set_up("info", stream)
    try:
        head = {"traceparent": f"00-{6:032x}-{PARENT}-01"}
        traced.house.http.get("/readyz", headers=head)
        until = time.monotonic() + 20
        while '"request"' not in stream.getvalue() and time.monotonic() < until:
            time.sleep(0.01)  # the line is written after the answer is sent
    finally:
        log.handlers[:], log.propagate, log.level = before
    (line,) = [one for one in map(json.loads, stream.getvalue().splitlines()) if one["message"] == "request"]
    assert line["trace_id"] == f"{6:032x}"


@pytest.mark.parametrize(
    ("environ", "is_on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "lender"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
    ],
)
def test_the_environment_turns_it_on(environ: dict[str, str], is_on: bool) -> None:
    assert wanted(environ) is is_on


def test_what_cannot_be_sent_is_refused() -> None:
    with pytest.raises(DataError) as refused:
        wanted({"OTEL_TRACES_EXPORTER": "zipkin"})
    assert str(refused.value) == (
        "the setting OTEL_TRACES_EXPORTER cannot be used\n"
        "  expected: otlp or none\n"
        "  got:      'zipkin'\n"
        "  where:    OTEL_TRACES_EXPORTER\n"
        "  do:       correct the environment variable, or unset it"
    )
    with pytest.raises(DataError, match="OTEL_EXPORTER_OTLP_PROTOCOL"):
        wanted({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("headwater.apps.http.server, headwater.apps.http.app", "opentelemetry.sdk"),
        ("headwater.apps.cli.serving", "opentelemetry.sdk"),
        ("headwater.apps.cli.serving", "mlflow"),  # takes seconds, and is seldom asked
        ("headwater.apps.cli.serving", "headwater.apps.http.traces"),
    ],
)
def test_without_being_asked_for_nothing_is_imported(tmp_path: Path, module: str, absent: str) -> None:
    told = (
        f"import sys, time, {module}, headwater.apps.tracing as tracing;"
        "assert tracing.traces({}, time.perf_counter_ns) is None;"
        f"print([name for name in sys.modules if name.startswith({absent!r})])"
    )
    done = subprocess.run(
        [sys.executable, "-c", told], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "[]\n", done.stderr


def test_an_untraced_answer_has_no_parent(tmp_path: Path) -> None:
    with serving(tmp_path) as house:
        answer = house.http.get("/healthz", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        assert "traceparent" not in answer.headers
        assert isinstance(house.client, hw.Client)
