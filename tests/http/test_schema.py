"""The OpenAPI document is whole and true: schemathesis asks for everything that it allows, and more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from headwater.apps.http import loop_payloads, openapi, payloads, problems
from headwater.apps.http.app import ROLES
from tests.http.house import House
from tests.http.registered import registered


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with registered(tmp_path_factory.mktemp("bank")) as (made, _):
        yield made
        assert made.faults.faults == []


SKIPPED = "/v1/scores/stream"  # does not end by itself
ROUTES = [
    (method, route)
    for router, _ in ROLES
    for route in router.routes
    if isinstance(route, APIRoute) and route.path != SKIPPED
    for method in route.methods or ()
]
ALLOWED = [(f"{method} {route.path}", GenerationMode.POSITIVE) for method, route in ROUTES]
NOT_ALLOWED = [
    (f"{method} {route.path}", GenerationMode.NEGATIVE)
    for method, route in ROUTES
    if route.dependant.query_params or route.dependant.path_params or route.openapi_extra
]


def _whole(found: Any) -> Any:
    """The operation; an error in the document is one of the test."""
    return found.ok()


@pytest.mark.parametrize(("operation", "mode"), [*ALLOWED, *NOT_ALLOWED])
def test_nothing_breaks_the_server(house: House, operation: str, mode: GenerationMode) -> None:
    """Requests that the document allows, and ones that it does not: never a 5xx, always what it says."""
    schema = schemathesis.openapi.from_url(f"{house.url}/openapi.json")
    found = next(one for one in map(_whole, schema.get_all_operations()) if one.label == operation)

    @settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
    @given(case=found.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        response = case.call()
        assert response.status_code < 500, response.text
        case.validate_response(response, checks=CHECKS)

    ask()


CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_is_described(house: House) -> None:
    document = house.http.get("/openapi.json").json()
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        assert "HTTPValidationError" not in str(operation), name
        for status, told in operation["responses"].items():
            if int(status) >= 400:
                assert list(told["content"]) == [problems.MEDIA_TYPE], (name, status)
                assert told["content"][problems.MEDIA_TYPE]["examples"], (name, status)


NO_ROUTE = {"method-not-allowed", "training", "replay", "conflict", "delivery"}  # no route ends in these


def test_every_error_is_documented_somewhere(house: House) -> None:
    text = house.http.get("/openapi.json").text
    for code in openapi.error_classes():
        if code not in NO_ROUTE:
            assert f"`{code}`" in text, code


def test_examples_fit_their_schemas() -> None:
    for kind in (vars(payloads) | vars(loop_payloads)).values():
        if isinstance(kind, type) and issubclass(kind, payloads.Payload | payloads.Answer):
            for example in kind.model_json_schema().get("examples", []):
                kind.model_validate(example)
