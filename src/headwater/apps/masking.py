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
from dataclasses import dataclass, replace
from typing import Any

from headwater.core.errors import Problem
from headwater.core.schema import PERSONAL
from headwater.core.secret import HIDDEN
from headwater.definitions.model import Model
from headwater.definitions.personal import personal_inputs as personal_inputs
from headwater.definitions.personal import personal_outputs as personal_outputs
from headwater.definitions.project import Project
from headwater.definitions.stream import Stream
from headwater.log.embedded import EmbeddedLog
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
        self._inputs = {model.name: _Inputs.of(model) for model in models}
        self.names = frozenset().union(
            *self._personal.values(), *(one.personal for one in self._inputs.values())
        )

    @classmethod
    def of(cls, project: Project) -> Mask:
        """What is personal in a project."""
        return cls(project.streams, project.models)

    @classmethod
    def of_log(cls, log: EmbeddedLog, project: Project | None = None) -> Mask:
        """What is personal by what a log remembers of its streams, or by a project.

        Args:
            log: open.
            project: today's, if it can be loaded: it may know better.
        """
        mask = cls() if project is None else cls.of(project)
        for stored in map(log.schema, log.streams):
            mask.add(stored.stream, stored.names, stored.personal)
        return mask

    def add(self, stream: str, names: Iterable[str], personal: Iterable[str]) -> None:
        """A stream's columns, and the personal ones, beside those that are known of it."""
        self._personal[stream] = self._personal.get(stream, frozenset()).union(personal)
        self._columns[stream] = self._columns.get(stream, frozenset()).union(names)
        self.names |= self._personal[stream]

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
        form = decision.to_json()
        for part in ("keys", "request", "features"):
            form[part] = self.values(decision.model, form[part])
        form["reasons"] = [
            {**reason, "value": self.value(decision.model, reason["feature"], reason["value"])}
            for reason in form["reasons"]
        ]
        return form

    def values(self, model: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs or keys of a model as they may be listed."""
        hidden = self.inputs(model, values)
        return {name: masked(name, value, hidden) for name, value in values.items()}

    def value(self, model: str, name: str, value: Any) -> Any:
        """One input or key of a model as it may be listed."""
        return masked(name, value, self.inputs(model, [name]))

    def inputs(self, model: str, names: Collection[str]) -> set[str]:
        """Which of these inputs and keys of a model are personal.

        A name that the model does not know comes from another definition of it, and may be anything: it is,
        too, unless nothing in the model is.
        """
        known = self._inputs.get(model)
        if known is None:
            return set(names)
        return {
            name for name in names if name in known.personal or (known.personal and name not in known.all)
        }

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


@dataclass(frozen=True, slots=True)
class _Inputs:
    """A model's inputs and keys: all, and those that are personal."""

    all: frozenset[str]
    personal: frozenset[str]

    @classmethod
    def of(cls, model: Model) -> _Inputs:
        names = frozenset((*model.inputs, *model.keys, *model.request))
        return cls(names, frozenset(personal_inputs(model)))


class Masks:
    """The mask of a project, made once for each project that is served.

    Example:
        >>> from headwater.apps.demo.project import project
        >>> masks = Masks()
        >>> masks.of(project) is masks.of(project)
        True
    """

    def __init__(self) -> None:
        self._made: tuple[Project, Mask] | None = None

    def of(self, project: Project) -> Mask:
        """What is personal in a project."""
        made = self._made
        if made is None or made[0] is not project:
            self._made = made = project, Mask.of(project)
        return made[1]


class LogMask(logging.Filter):
    """A filter for log handlers: no secret in any text, no personal field among the extras.

    Args:
        mask: what is personal; its names are hidden whatever the stream.
    """

    def __init__(self, mask: Mask | None = None) -> None:
        super().__init__()
        self._names: frozenset[str] = frozenset()
        self.follow(mask or Mask())

    def follow(self, mask: Mask) -> None:
        """Hide what is personal by another project too; what was hidden before stays hidden."""
        self._names |= mask.names - _RECORD

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


def masked(name: str, value: Any, personal: Collection[str]) -> Any:
    """The value, or a mask in its place."""
    return PERSONAL if name in personal and value is not None else value
