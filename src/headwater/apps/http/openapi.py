"""How a route is documented: its answer, its body, and every error that it can end in.

Answers are built by hand and requests are read strictly, both for speed; so FastAPI is told what they are
here. Called by ``routes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from headwater.apps.http import problems
from headwater.apps.http.payloads import Payload, ProblemAnswer
from headwater.core.errors import HeadwaterError

_REF = "#/components/schemas/{model}"
ALWAYS = (
    "credential-missing",
    "credential-invalid",
    "credential-expired",
    "credential-revoked",
    "forbidden",
    "rate-limited",
    "identity-unavailable",
    "overloaded",
    "closing",
    "stopped",
    "scoring",
    "misdirected",
    "log",
    "store",
    "bug",
)


def error_classes() -> dict[str, type[HeadwaterError]]:
    """Every error that the API ends in, by its code."""
    kinds: list[type[HeadwaterError]] = [*problems.STATUS, problems.BugError]
    return {kind.code: kind for kind in kinds}


def documented(
    answer: type[BaseModel],
    *codes: str,
    request: type[BaseModel] | None = None,
    also: Mapping[str, str] | None = None,
    query: Mapping[str, tuple[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Keyword arguments for a route.

    Args:
        answer: what it answers with.
        codes: of errors that it can end in, beside those that any route can.
        request: its JSON body.
        also: other media types of the body, with what they hold.
        query: parameters that the route reads by hand: name to type and meaning.
        headers: headers that it reads: name to meaning.
    """
    responses: dict[int | str, dict[str, Any]] = {200: {"model": answer, "description": _line(answer)}}
    found = error_classes()
    for code in dict.fromkeys((*codes, *ALWAYS)):
        kind = found[code]
        status = int(problems.status_of(kind.of("")))
        told = responses.setdefault(status, {"description": "", "content": {problems.MEDIA_TYPE: _problem()}})
        text = f"`{code}`: {_line(kind)}"
        told["description"] = "\n\n".join(part for part in (told["description"], text) if part)
        example = problems.document(kind.of(_line(kind).rstrip(".")), "6aa0ebda7443b296")
        told["content"][problems.MEDIA_TYPE]["examples"][code] = {"summary": _line(kind), "value": example}
    given: dict[str, Any] = {"responses": responses, "response_class": JSONResponse, "openapi_extra": {}}
    if request is not None:
        given["openapi_extra"] = {"requestBody": _body(request, also or {})}
    read = [("query", name, kind, text) for name, (kind, text) in (query or {}).items()]
    read += [("header", name, "string", text) for name, text in (headers or {}).items()]
    if read:
        given["openapi_extra"]["parameters"] = [
            {"name": name, "in": place, "required": False, "schema": {"type": kind}, "description": text}
            for place, name, kind, text in read
        ]
    return given


def _problem() -> dict[str, Any]:
    return {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}, "examples": {}}


def complete(app: FastAPI) -> None:
    """Let the app's document hold the schemas to which only hand-made parts refer."""
    made = app.openapi

    def whole() -> dict[str, Any]:
        document = made()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        kinds: list[type[BaseModel]] = [ProblemAnswer, *Payload.__subclasses__()]
        for kind in kinds:
            schema = kind.model_json_schema(ref_template=_REF)
            schemas |= schema.pop("$defs", {})
            schemas[kind.__name__] = schema
        return document

    app.openapi = whole  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def streamed(event: type[BaseModel], *codes: str) -> dict[str, Any]:
    """Keyword arguments for a route that answers with server-sent events, each holding ``event`` as JSON."""
    given = documented(event, *codes)
    schema = {"type": "string", "description": f"`data` of each `score` event: {_line(event)}"}
    given["responses"][200] = {"description": "Events, until one side hangs up.",
                               "content": {"text/event-stream": {"schema": schema}}}  # fmt: skip
    return {**given, "response_class": Response}


def _body(request: type[BaseModel], also: Mapping[str, str]) -> dict[str, Any]:
    schema = request.model_json_schema(ref_template=_REF)
    schema.pop("$defs", None)  # `complete` has them
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    for kind, text in also.items():
        content[kind] = {"schema": {"type": "string", "format": "binary", "description": text}}
    return {"required": True, "content": content}


def _line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]
