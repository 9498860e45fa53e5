"""Personal fields and secrets, masked wherever something is shown: listings, dead letters, logs, errors.

What a stream declares ``personal`` is a fact about its columns; from there it follows what else is
personal: the inputs that are made of such columns, and keys. Fields that nobody declared are masked too
where the stream has personal columns, for a misspelt name is still a name. Called by ``cli`` and ``http``,
whenever a value that came in goes out to somebody who did not send it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from headwater.core.errors import Problem
from headwater.core.schema import PERSONAL
from headwater.core.secret import HIDDEN
from headwater.definitions.expression import columns
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.definitions.project import Project
from headwater.definitions.stream import Stream
from headwater.log.protocol import DeadLetter
from headwater.store.decision import Decision

_SECRETS = re.compile(
    r"(?P<key>\bhw_[0-9a-f]{12}_)[0-9a-f]{8,}"
    r"|\beyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?"  # a token: its header is JSON, which begins with {"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"
    r"|(?P<user>://[^/\s:@]*:)[^/\s@]+(?=@)",
    re.IGNORECASE | re.ASCII,
)
_SHORTEST = 3  # characters: a shorter value stands in too many texts by chance


class Mask:
    """What is personal in a project.

    Args:
        streams: whose columns are told apart.
        models: whose inputs are.

    Example:
        >>> import polars as pl
        >>> visits = Stream("visits", {"who": pl.String, "at": pl.Date}, time="at", personal=["who"])
        >>> Mask([visits]).event("visits", {"who": "Ada", "at": "2026-01-01", "whom": "Bob"})
        {'who': '(personal)', 'at': '2026-01-01', 'whom': '(personal)'}
    """

    def __init__(self, streams: Iterable[Stream] = (), models: Iterable[Model] = ()) -> None:
        listed = list(streams)
        self._personal = {stream.name: frozenset(stream.personal) for stream in listed}
        self._columns = {stream.name: frozenset(stream.schema) for stream in listed}
        self._inputs = {model.name: frozenset(personal_inputs(model)) for model in models}
        self.names = frozenset().union(*self._personal.values())

    @classmethod
    def of(cls, project: Project) -> Mask:
        """What is personal in a project."""
        return cls(project.streams, project.models)

    def event(self, stream: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """An event as it may be listed; of a stream that nobody declared, only the fields' names."""
        return {
            name: PERSONAL if value is not None and self._is_hidden(stream, name) else value
            for name, value in event.items()
        }

    def letter(self, letter: DeadLetter) -> DeadLetter:
        """A dead letter as it may be listed: an event that is no JSON object is masked whole."""
        if self._personal.get(letter.stream) == frozenset():
            return letter
        try:
            event = json.loads(letter.event)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            return replace(letter, event=json.dumps(PERSONAL))
        text = json.dumps(self.event(letter.stream, event), ensure_ascii=False, separators=(",", ":"))
        return replace(letter, event=text, message=self.text(letter.message, letter.stream, event))

    def decision(self, decision: Decision) -> dict[str, Any]:
        """A decision's JSON form as it may be listed; of a model that nobody declared, no values at all."""
        hidden = self._inputs.get(decision.model)
        form = decision.to_json()
        for part in ("keys", "request", "features"):
            form[part] = {name: _unless(hidden, name, value) for name, value in form[part].items()}
        form["reasons"] = [
            {**reason, "value": _unless(hidden, reason["feature"], reason["value"])}
            for reason in form["reasons"]
        ]
        return form

    def values(self, model: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs or keys of a model as they may be listed."""
        return {name: _unless(self._inputs.get(model), name, value) for name, value in values.items()}

    def text(self, text: str, stream: str, event: Mapping[str, Any]) -> str:
        """A text about an event, without the event's personal values, should any stand in it."""
        found = (str(value) for name, value in event.items() if self._is_hidden(stream, name))
        for value in sorted({one for one in found if len(one) >= _SHORTEST}, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", PERSONAL, text)
        return text

    def problems(
        self, problems: Iterable[Problem], stream: str, event: Mapping[str, Any]
    ) -> tuple[Problem, ...]:
        """The facts of an error about an event, without its personal values."""
        return tuple(
            Problem(
                self.text(one.what, stream, event),
                *(
                    None if fact is None else self.text(fact, stream, event)
                    for fact in (one.expected, one.got, one.where, one.do)
                ),
            )
            for one in problems
        )

    def _is_hidden(self, stream: str, name: str) -> bool:
        personal = self._personal.get(stream)
        if personal is None:
            return True
        return name in personal or (bool(personal) and name not in self._columns[stream])


class LogMask(logging.Filter):
    """A filter for log handlers: no secret in any text, no personal field among the extras.

    Args:
        mask: what is personal; its names are hidden whatever the stream.
    """

    def __init__(self, mask: Mask | None = None) -> None:
        super().__init__()
        self._names = frozenset() if mask is None else mask.names - _RECORD

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask a record; never drops one."""
        record.msg, record.args = redacted(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text, record.exc_info = redacted(record.exc_text), None
        for name, value in list(record.__dict__.items()):
            if name not in _RECORD:
                record.__dict__[name] = self._extra(name, value)
        return True

    def _extra(self, name: str, value: Any) -> Any:
        if name in self._names and value is not None:
            return PERSONAL
        if isinstance(value, Mapping):
            return {inner: self._extra(str(inner), one) for inner, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._extra("", one) for one in value]
        return redacted(value) if isinstance(value, str) else value


_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "exc_text", "taskName"}


def redacted(text: str) -> str:
    """A text without whatever looks like a secret of ours, a token or a password in an address.

    Example:
        >>> redacted("GET https://ada:hunter2@example.org with Authorization: Bearer abcdefgh1234")
        'GET https://ada:(secret)@example.org with Authorization: Bearer (secret)'
    """
    return _SECRETS.sub(lambda found: (found["key"] or found["scheme"] or found["user"] or "") + HIDDEN, text)


def personal_inputs(model: Model) -> set[str]:
    """The inputs of a model that are made of personal columns, keys included."""
    names = {view.key for view in model.features if view.key in view.stream.personal}
    for view in model.features:
        for output in view.outputs:
            read = columns(output.aggregate.column, output.aggregate.where)
            if set(read) & set(view.stream.personal):
                names.add(output.name)
    if isinstance(model.observe, Each):
        names |= set(model.request) & set(model.observe.stream.personal)
    names |= {name for name, expr in model.derived.items() if set(columns(expr)) & names}
    return names


def masked(name: str, value: Any, personal: Collection[str]) -> Any:
    """The value, or a mask in its place."""
    return PERSONAL if name in personal and value is not None else value


def _unless(hidden: Collection[str] | None, name: str, value: Any) -> Any:
    return PERSONAL if value is not None and (hidden is None or name in hidden) else value
