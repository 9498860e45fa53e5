"""The body of a request, strictly: bounded in bytes, one meaning for every text, nothing guessed.

JSON names a key once, holds no NaN and no lone surrogates, and is not nested beyond all measure. Called by
``routes``.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from headwater.apps.http.problems import MalformedError, TooLargeError, UnsupportedError
from headwater.core.errors import DataError, Problem

JSON = "application/json"
NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
_TOLD = 20  # mistakes of one body: an answer is not larger than what was asked
_PLAIN = JSON.encode()
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

Model = TypeVar("Model", bound=BaseModel)


async def read(request: Request, most: int) -> bytes:
    """The whole body.

    Args:
        request: whose.
        most: bytes.

    Raises:
        TooLargeError: it has more; the rest is not read.
        UnsupportedError: it is compressed.
    """
    for name, value in request.scope["headers"]:
        if name == b"content-encoding" and value != b"identity":
            raise UnsupportedError.of(
                "the body is encoded",
                expected="no Content-Encoding",
                got=value.decode("latin-1")[:40],
                do="send it as it is",
            )
        if name == b"content-length" and value.isdigit() and int(value) > most:
            raise _too_large(most)
    parts, size, more = [], 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise MalformedError.of("the body broke off", do="send it again")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def media_type(request: Request) -> str:
    """What the body says it is, without parameters; JSON if it says nothing."""
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            return JSON if value == _PLAIN else value.decode("latin-1").partition(";")[0].strip().lower()
    return JSON


def parsed(body: bytes, where: str = "$") -> Any:
    """JSON, strictly.

    Args:
        body: UTF-8.
        where: what the place in an error begins with.

    Raises:
        MalformedError: it is no JSON, or JSON that could be understood in two ways.

    Example:
        >>> parsed(b'{"a": 1}')
        {'a': 1}
    """
    try:
        value = _STRICT.decode(body.decode("utf-8"))
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise _malformed("the body is not UTF-8", "UTF-8 without lone surrogates", None, where) from None
    except json.JSONDecodeError as error:
        place = f"{where}, line {error.lineno}, column {error.colno}"
        raise _malformed("the body is no JSON", "JSON", error.msg, place) from None
    except _StrictError as error:
        raise _malformed(error.what, error.expected, error.got, where) from None
    except RecursionError:
        raise _malformed("the JSON is nested too deeply", "flat events", None, where) from None
    except ValueError:  # a number with thousands of digits
        raise _malformed("the body is no JSON", "numbers with fewer digits", None, where) from None
    return value


def valid(kind: type[Model], value: Any) -> Model:
    """A value as a payload.

    Raises:
        DataError: with everything that does not fit.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        told = [
            Problem(
                f"{_path(one['loc'])} is not as expected",
                expected=one["msg"],
                where=_path(one["loc"]),
                do="see the API's reference at /docs",
            )
            for one in found[:_TOLD]
        ]
        if len(found) > _TOLD:
            told.append(Problem(f"{len(found) - _TOLD:,} more are not", do="correct these first"))
        raise DataError(*told) from None


def _path(place: tuple[int | str, ...]) -> str:
    """A place as JSONPath: ``$.keys.account_id``."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part[:60]}" for part in place)


class _StrictError(Exception):
    def __init__(self, what: str, expected: str, got: str) -> None:
        super().__init__(what)
        self.what, self.expected, self.got = what, expected, got


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _StrictError("a key stands twice in one object", "each key once", repr(twice[:60]))
    return found


def _no_constant(name: str) -> Any:
    raise _StrictError("the JSON holds a number that is none", "a finite number or null", name)


_STRICT = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)


def _too_large(most: int) -> TooLargeError:
    return TooLargeError.of(
        "the body is too large", expected=f"at most {most:,} bytes", do="send it in smaller parts"
    )


def _malformed(what: str, expected: str, got: str | None, where: str) -> MalformedError:
    return MalformedError.of(what, expected=expected, got=got, where=where, do="correct the request")
