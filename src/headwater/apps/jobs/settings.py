"""What is set about jobs: whether a server runs them, how often, and whether one may promote.

The rows of the reference stand in ``apps.settings``. Called by ``cli.serve``, ``cli.jobs`` and ``process``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from headwater.core.errors import DataError, DefinitionError
from headwater.core.instant import HOUR, MINUTE, span

_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_WORDS = {"on": True, "1": True, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class JobSettings:
    """How jobs are run.

    Attributes:
        on: whether ``headwater serve`` runs those that are due.
        triggers: whether drift, outcomes and new labels are reasons to retrain beside the schedule.
        promote: whether a retrained model whose gate says promote becomes champion by itself.
        lake: whether there is a lake to keep up to date.
        morning: when the report is mailed, microseconds after midnight UTC; None: it is not.
        every: kind or name of a job to how often it is due, microseconds; None: never by itself.

    Example:
        >>> JobSettings.read({"HEADWATER_JOBS_EVERY": "drift=6h,outcomes=off"}).every
        {'drift': 21600000000, 'outcomes': None}
    """

    on: bool = True
    triggers: bool = True
    promote: bool = False
    lake: bool = False
    morning: int | None = None
    every: Mapping[str, int | None] = field(default_factory=dict)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """From the environment.

        Raises:
            DataError: a setting cannot be read.
        """
        return cls(
            _switch("HEADWATER_JOBS", environ, usual=True),
            _switch("HEADWATER_JOBS_TRIGGERS", environ, usual=True),
            _switch("HEADWATER_JOBS_PROMOTE", environ, usual=False),
            bool(environ.get("HEADWATER_LAKE")),
            _morning(environ),
            _every(environ.get("HEADWATER_JOBS_EVERY", "")),
        )


def _switch(variable: str, environ: Mapping[str, str], *, usual: bool) -> bool:
    text = environ.get(variable) or None
    if text is not None and text not in _WORDS:
        raise _unreadable(variable, "on or off", text)
    return usual if text is None else _WORDS[text]


def _morning(environ: Mapping[str, str]) -> int | None:
    if not environ.get("HEADWATER_REPORT_MAIL_TO"):
        return None
    text = environ.get("HEADWATER_REPORT_MAIL_AT") or "06:00"
    if _CLOCK.fullmatch(text) is None:
        raise _unreadable("HEADWATER_REPORT_MAIL_AT", "hours and minutes such as 06:00", text[:20])
    return int(text[:2]) * HOUR + int(text[3:]) * MINUTE


def _every(text: str) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, equals, often = (one.strip() for one in part.partition("="))
        try:
            found[name] = None if often == "off" else span(often)
        except DefinitionError:
            often = ""
        if not (name and equals and often):
            raise _unreadable("HEADWATER_JOBS_EVERY", "pairs such as drift=6h,fairness=off", part)
    return found


def _unreadable(variable: str, expected: str, got: str) -> DataError:
    return DataError.of(
        f"the setting {variable} cannot be read",
        expected=expected,
        got=repr(got),
        do="correct the environment variable, or unset it",
    )
