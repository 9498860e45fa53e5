"""Traces for OpenTelemetry: a span around each request, and one for each step that somebody tells of.

::

    traceparent in ──► POST /v1/events ─────────────────────────► traceparent out
                         validate │ wait │ commit │ apply │ score
                       POST /v1/decisions
                         validate │ wait │ score │ record

Imported only when traces are configured (``apps.tracing``), for it needs the extra ``headwater[otel]``. Where
spans go, how many are kept and what the service is called is said by the standard ``OTEL_*`` variables, which
the SDK reads itself. A span holds names, counts, offsets and the request id; no path, query, key or value:
these may be personal.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Self

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, Status, StatusCode, Tracer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.core import tracing
from headwater.core.tracing import Fact, Stopwatch

_BUG = 500


class Traces:
    """The provider of one service: makes tracers, and sends what they say in the background.

    Args:
        version: of Headwater, as a resource attribute.
        stopwatch: the service's own, which steps are told in.
        processor: takes the spans; one that sends them in batches over OTLP/HTTP if none is given.
    """

    def __init__(self, version: str, stopwatch: Stopwatch, processor: SpanProcessor | None = None) -> None:
        resource = Resource.create({SERVICE_NAME: "headwater", SERVICE_VERSION: version})
        named = Resource.create()  # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over our own name
        if not str(named.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            resource = resource.merge(named)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer: Tracer = self._provider.get_tracer("headwater", version)
        self.stopwatch = stopwatch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def flush(self) -> None:
        """Send what is there now."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send what is left, and end."""
        self._provider.shutdown()

    def around(self, app: ASGIApp) -> ASGIApp:
        """An app, traced."""
        return Tracing(app, self.tracer, self.stopwatch)


class Tracing:
    """ASGI middleware: a server span around each request, outermost.

    Args:
        app: the rest.
        tracer: makes the spans.
        stopwatch: nanoseconds.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer, stopwatch: Stopwatch) -> None:
        self._app = app
        self._tracer = tracer
        self._watch = stopwatch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parent = propagate.extract(_carrier(scope))
        method = scope["method"]
        with self._tracer.start_as_current_span(
            method,
            context=parent,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.scheme": scope.get("scheme", "http")},
            record_exception=False,  # its text may quote a value
            set_status_on_exception=False,
        ) as span:
            await self._request(span, scope, receive, send)

    async def _request(self, span: Span, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0
        out = _outgoing(span)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *out]}
            await send(message)

        if not span.is_recording():  # not sampled: the context goes on, nothing is noted
            await self._app(scope, receive, sending)
            return
        try:
            with tracing.tracing(_Trace(self._tracer, span, self._watch)):
                await self._app(scope, receive, sending)
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR))
            span.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            _tell(span, scope, status)


class _Trace:
    """Steps of one request as children of its span; see ``core.tracing``."""

    def __init__(self, tracer: Tracer, parent: Span, stopwatch: Stopwatch) -> None:
        self._tracer = tracer
        context = parent.get_span_context()
        # The context without the span itself: a step may be told after the request's span has ended.
        self._context = trace.set_span_in_context(NonRecordingSpan(context), Context())
        self._id = trace.format_trace_id(context.trace_id)
        self._epoch = time.time_ns() - stopwatch()  # from the stopwatch's moments to those of the calendar

    @property
    def id(self) -> str:
        return self._id

    def add(self, name: str, start: int, end: int, **facts: Fact) -> None:
        attributes = {f"headwater.{fact}": value for fact, value in facts.items()}
        span = self._tracer.start_span(
            name, self._context, attributes=attributes, start_time=self._epoch + start
        )
        span.end(self._epoch + end)


def _carrier(scope: Scope) -> Mapping[str, str]:
    """The request's headers that a propagator may look for; of several with one name, the first."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    return found


def _outgoing(span: Span) -> list[tuple[bytes, bytes]]:
    carrier: dict[str, str] = {}
    propagate.inject(carrier, trace.set_span_in_context(span, Context()))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in carrier.items()]


def _tell(span: Span, scope: Scope, status: int) -> None:
    route = getattr(scope.get("route"), "path", None)
    if route is not None:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    if status:
        span.set_attribute("http.response.status_code", status)
    if status >= _BUG:
        span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("headwater.request_id", str(scope.get("headwater.request_id", "")))
