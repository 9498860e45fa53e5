"""Whether traces are configured, by the standard OpenTelemetry variables; and the library, only if they are.

Called by ``headwater serve``. Read ``apps.http.traces`` next.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module, util
from typing import TYPE_CHECKING

import headwater
from headwater.core.errors import DataError
from headwater.core.tracing import Stopwatch

if TYPE_CHECKING:
    from headwater.apps.http.traces import Traces

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
EXPORTER = "OTEL_TRACES_EXPORTER"
_HTTP = "http/protobuf"
_LIBRARY = "opentelemetry.exporter.otlp.proto.http"


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces.

    Raises:
        DataError: it asks for a way of sending them that there is not.

    Example:
        >>> wanted({}), wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
        (False, True)
    """
    exporter = environ.get(EXPORTER, "").strip().lower()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return False
    if exporter not in ("", "otlp"):
        raise _unknown(EXPORTER, "otlp or none", exporter)
    if not exporter and not any(environ.get(name) for name in ENDPOINTS):
        return False
    for name in PROTOCOLS:
        if environ.get(name, _HTTP).strip().lower() not in ("", _HTTP):
            raise _unknown(name, _HTTP, environ[name])
    return True


def traces(environ: Mapping[str, str], stopwatch: Stopwatch) -> Traces | None:
    """What traces a service; None, and nothing imported, if the environment does not ask for it.

    Raises:
        DataError: traces are asked for, but cannot be sent.
    """
    if not wanted(environ):
        return None
    if not _installed():
        raise DataError.of(
            "traces are asked for, but OpenTelemetry is not installed",
            expected="the extra `otel`",
            where=" or ".join((EXPORTER, *ENDPOINTS)),
            do="pip install 'headwater[otel]', or unset the variable",
        )
    made: Traces = import_module("headwater.apps.http.traces").Traces(headwater.__version__, stopwatch)
    return made


def _installed() -> bool:
    try:
        return util.find_spec(_LIBRARY) is not None
    except ModuleNotFoundError:
        return False


def _unknown(variable: str, expected: str, got: str) -> DataError:
    return DataError.of(
        f"the setting {variable} cannot be used",
        expected=expected,
        got=repr(got[:40]),
        where=variable,
        do="correct the environment variable, or unset it",
    )
