"""The reference of the HTTP API, made from its OpenAPI document, and the lists of metrics.

Called by ``tools.docs`` for ``docs/reference/http.md`` and ``docs/reference/stream-metrics.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from headwater.apps.http.app import ROLES, bare
from headwater.apps.http.metrics import Metrics
from headwater.apps.http.pulse import Pulse
from headwater.apps.http.streaming import StreamMetrics

_REF = "#/components/schemas/"


def operations() -> str:
    """One section for each operation: what it does, what goes in, what comes out, how it can fail."""
    document = bare("API").openapi()
    schemas = document["components"]["schemas"]
    return "\n\n".join(
        "\n\n".join(_section(f"{method.upper()} {path}", operation, schemas, _roles()))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )


def metrics() -> str:
    """A table: metric, kind, meaning."""
    return _metrics(Metrics().registry)


def stream_metrics() -> str:
    """The same for a stream host."""
    return _metrics(StreamMetrics(Pulse(lambda: 0), lambda: 0, lambda: 0).registry)


def _metrics(registry: CollectorRegistry) -> str:
    rows = [
        f"| `{one.name}{'_total' if one.type == 'counter' else ''}` | {one.type} | {one.documentation} |"
        for one in registry.collect()
    ]
    return "\n".join(["| metric | kind | what it says |", "|---|---|---|", *sorted(rows)])


def _roles() -> dict[str, str | None]:
    """Operation id to the role that it needs."""
    return {route.name: role for router, role in ROLES for route in router.routes}  # type: ignore[attr-defined]


def _section(
    name: str, operation: Mapping[str, Any], schemas: Mapping[str, Any], roles: Mapping[str, str | None]
) -> Iterator[str]:
    yield f"## {name}"
    yield " ".join(operation["description"].split())
    role = roles[operation["operationId"]]
    yield f"Role: `{role}`." if role else "Role: none; anybody may ask."
    if operation.get("parameters"):
        yield _table(
            "parameter",
            [
                (one["name"], one["in"] + (", needed" if one["required"] else ""), one.get("description", ""))
                for one in operation["parameters"]
            ],
        )
    if "requestBody" in operation:
        yield "Body:"
        for kind, content in operation["requestBody"]["content"].items():
            schema = content["schema"]
            yield f"`{kind}`" + (f": {schema['description']}" if kind != "application/json" else "")
            if kind == "application/json":
                yield from _fields(schema, schemas)
    yield from _answers(operation["responses"], schemas)


def _answers(responses: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    found = responses["200"]
    yield f"Answer: {found['description']}"
    schema = found.get("content", {}).get("application/json", {}).get("schema", {})
    yield from _fields(schemas.get(schema.get("$ref", "").removeprefix(_REF), {}), schemas)
    rows = [
        (status, f"`{code}`", example["summary"])
        for status, told in responses.items()
        if status != "200"
        for content in told.get("content", {}).values()
        for code, example in content.get("examples", {}).items()
    ]
    if rows:
        lines = [f"| {status} | {code} | {text} |" for status, code, text in rows]
        yield "\n".join(["| status | code | when |", "|---|---|---|", *lines])


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    if not schema.get("properties"):
        return
    needed = set(schema.get("required", ()))
    yield _table(
        "field",
        [
            (name, _type(one, schemas) + ("" if name in needed else ", optional"), one.get("description", ""))
            for name, one in schema["properties"].items()
        ],
    )
    for example in schema.get("examples", []):
        yield f"```json\n{json.dumps(example, indent=1, ensure_ascii=False)}\n```"


def _type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REF)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one, schemas) for one in schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'], schemas)}"
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    return str(schema.get("type", "any"))


def _table(noun: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [f"| `{name}` | {kind} | {text} |" for name, kind, text in rows]
    return "\n".join([f"| {noun} | type | meaning |", "|---|---|---|", *lines])
