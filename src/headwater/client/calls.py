"""What can be asked of the API: each call as a request and the type of its answer, for both clients.

Called by ``sync`` and ``asynchronous``, which differ only in how they wait.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from headwater.client import answers
from headwater.core.instant import instant, iso

T = TypeVar("T")
JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
Moment = datetime | str | int


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request and how its answer is read."""

    method: str
    path: str
    answer: type[T]
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def read(call: Call[T], content: bytes) -> T:
    """The answer, typed."""
    return msgspec.json.decode(content, type=call.answer)


def headers(call: Call[Any]) -> dict[str, str]:
    """The call's headers, and the caller's place in its own trace, where it uses OpenTelemetry."""
    library = sys.modules.get("opentelemetry.trace")  # whoever traces has imported it
    if library is None:
        return dict(call.headers)
    here = library.get_current_span().get_span_context()
    if not here.is_valid:
        return dict(call.headers)
    parent = f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"
    return {**call.headers, "traceparent": parent}


def events(stream: str, given: Sequence[Mapping[str, Any]], refresh: bool) -> Call[answers.Events]:
    """``POST /v1/events``."""
    body = _encoded({"stream": stream, "events": list(given)})
    return Call("POST", "/v1/events", answers.Events, _refresh(refresh), body, {"Content-Type": JSON})


def arrow(stream: str, body: bytes, refresh: bool) -> Call[answers.Events]:
    """``POST /v1/events`` with an Arrow IPC stream."""
    query = {"stream": stream, **_refresh(refresh)}
    return Call("POST", "/v1/events", answers.Events, query, body, {"Content-Type": ARROW})


def decide(
    keys: Mapping[str, Any],
    policy: str | None,
    request: Mapping[str, Any] | None,
    at: Moment | None,
    idempotency_key: str | None,
) -> Call[answers.Decision]:
    """``POST /v1/decisions``."""
    asked: dict[str, Any] = {"keys": dict(keys), "request": dict(request or {})}
    if policy is not None:
        asked["policy"] = policy
    if at is not None:
        asked["at"] = _moment(at)
    headers = {"Content-Type": JSON}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    return Call("POST", "/v1/decisions", answers.Decision, {}, _encoded(asked), headers)


def decision(decision_id: str) -> Call[answers.Decision]:
    """``GET /v1/decisions/{id}``."""
    return Call("GET", f"/v1/decisions/{_part(decision_id)}", answers.Decision)


def replay(decision_id: str) -> Call[answers.Replay]:
    """``POST /v1/decisions/{id}/replay``."""
    return Call("POST", f"/v1/decisions/{_part(decision_id)}/replay", answers.Replay)


def features(view: str, key: Any, at: Moment | None) -> Call[answers.Features]:
    """``GET /v1/features/{view}/{key}``."""
    query = {} if at is None else {"at": _moment(at)}
    text = str(key).lower() if isinstance(key, bool) else str(key)
    return Call("GET", f"/v1/features/{_part(view)}/{_part(text)}", answers.Features, query)


def models() -> Call[answers.Models]:
    """``GET /v1/models``."""
    return Call("GET", "/v1/models", answers.Models)


def policies() -> Call[answers.Policies]:
    """``GET /v1/policies``."""
    return Call("GET", "/v1/policies", answers.Policies)


def plan() -> Call[answers.Plan]:
    """``GET /v1/plan``."""
    return Call("GET", "/v1/plan", answers.Plan)


def dead_letters(stream: str | None, reason: str | None, after: int, limit: int) -> Call[answers.DeadLetters]:
    """``GET /v1/dead-letters``."""
    query = {"after": str(after), "limit": str(limit)}
    query |= {name: text for name, text in (("stream", stream), ("reason", reason)) if text is not None}
    return Call("GET", "/v1/dead-letters", answers.DeadLetters, query)


def redrive(stream: str | None, reason: str | None, limit: int) -> Call[answers.Redriven]:
    """``POST /v1/dead-letters/redrive``."""
    asked = {"stream": stream, "reason": reason, "limit": limit}
    headers = {"Content-Type": JSON}
    return Call("POST", "/v1/dead-letters/redrive", answers.Redriven, {}, _encoded(asked), headers)


def reload() -> Call[answers.Reloaded]:
    """``POST /v1/reload``."""
    return Call("POST", "/v1/reload", answers.Reloaded)


def promote(
    model: str, version: str | int | None, force: bool, why: str | None
) -> Call[answers.ChampionChanged]:
    """``POST /v1/models/{model}/promote``."""
    asked = {"version": version, "force": force, "why": why}
    path = f"/v1/models/{_part(model)}/promote"
    return Call("POST", path, answers.ChampionChanged, {}, _encoded(asked), {"Content-Type": JSON})


def rollback(model: str, why: str | None) -> Call[answers.ChampionChanged]:
    """``POST /v1/models/{model}/rollback``."""
    path = f"/v1/models/{_part(model)}/rollback"
    return Call("POST", path, answers.ChampionChanged, {}, _encoded({"why": why}), {"Content-Type": JSON})


def gate(model: str, version: str | int | None) -> Call[answers.Gate]:
    """``GET /v1/models/{model}/gate``."""
    query = {} if version is None else {"version": str(version)}
    return Call("GET", f"/v1/models/{_part(model)}/gate", answers.Gate, query)


def shadow(model: str | None) -> Call[answers.Shadow]:
    """``GET /v1/shadow``."""
    return Call("GET", "/v1/shadow", answers.Shadow, {} if model is None else {"model": model})


def ready() -> Call[answers.Ready]:
    """``GET /readyz``."""
    return Call("GET", "/readyz", answers.Ready)


def _refresh(refresh: bool) -> dict[str, str]:
    return {"refresh": "true"} if refresh else {}


def _moment(at: Moment) -> str:
    return iso(instant(at))


def _part(text: str) -> str:
    return quote(text, safe="")


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: Any) -> Any:
    """What NumPy and the like hold, as JSON does."""
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


class Scores:
    """Reads the lines of ``GET /v1/scores/stream``: feed it a line, and take what it says."""

    PATH = "/v1/scores/stream"

    def __init__(self) -> None:
        self._event = ""

    def line(self, line: str) -> answers.Score | None:
        """The score that a line holds, if it does."""
        name, _, value = line.partition(": ")
        if name == "event":
            self._event = value
        elif name == "data" and self._event == "score":
            return msgspec.json.decode(value, type=answers.Score)
        return None
