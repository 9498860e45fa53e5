"""What the sections of a report read: the project with its data folder, its log, and the stretch.

Made by ``report``; read by every section.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from headwater.apps.masking import personal_inputs
from headwater.apps.watching.place import Place
from headwater.core.errors import HeadwaterError
from headwater.core.instant import DAY, iso
from headwater.definitions.finding import find_policy
from headwater.definitions.model import Model
from headwater.definitions.policy import Policy
from headwater.log.embedded import EmbeddedLog
from headwater.models.registry import Registry, Version
from headwater.paper.document import Section, Tone
from headwater.training.train import open_registry

TONES: dict[str, Tone] = {"alarm": "alarm", "watch": "watch", "quiet": "good", "too few": "quiet"}


@dataclass(frozen=True)
class Material:
    """Everything that a report is made of.

    Attributes:
        place: project and data folder.
        log: its events, for reading.
        start, stop: the stretch, microseconds UTC.
        now: as of when labels are mature; not before ``stop``.
        model: whose sections are written.
    """

    place: Place
    log: EmbeddedLog
    start: int
    stop: int
    now: int
    model: Model

    @cached_property
    def registry(self) -> Registry:
        """Where the model's versions are."""
        return open_registry(self.place.folder.path, self.place.project, self.place.tracking_uri)

    @cached_property
    def versions(self) -> list[Version]:
        """The versions of the model, the newest first."""
        return self.registry.versions(self.model.name)

    @cached_property
    def policy(self) -> Policy | None:
        """What decides on the model's score."""
        return find_policy(self.place.project, self.model)

    @cached_property
    def personal(self) -> set[str]:
        """The inputs whose values are never shown."""
        return personal_inputs(self.model)

    def holds(self, time: int) -> bool:
        """Whether an instant lies in the stretch."""
        return self.start <= time < self.stop


def day(time: int) -> str:
    """The date of an instant.

    Example:
        >>> day(0)
        '1970-01-01'
    """
    return iso(time)[:10]


def minute(time: int) -> str:
    """An instant to the minute.

    Example:
        >>> minute(0)
        '1970-01-01 00:00'
    """
    return iso(time)[:16].replace("T", " ")


def days(start: int, stop: int) -> list[int]:
    """The days that a stretch touches, each as its first instant."""
    return list(range(start // DAY * DAY, stop, DAY))


def lasting(span: float) -> str:
    """How long something takes, microseconds, for people.

    Example:
        >>> lasting(0), lasting(45e6), lasting(5400e6), lasting(3 * 86400e6)
        ('0 s', '45 s', '1.5 h', '3 days')
    """
    seconds = span / 1e6
    for size, unit in ((86_400 * 2, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{round(seconds / (86_400 if unit == 'days' else size), 1):g} {unit}"
    return f"{seconds:.3g} s"


def told(id: str, title: str, write: Callable[[], Section]) -> Section:
    """A section; where its data cannot be had, one that says why."""
    try:
        return write()
    except HeadwaterError as error:
        first = error.problems[0]
        return missing(id, title, first.what, first.got, first.do)


def missing(id: str, title: str, what: str, got: str | None = None, do: str | None = None) -> Section:
    """A section that says why there is nothing to show."""
    sentence = what[:1].upper() + what[1:] + (f" ({got})" if got else "")
    advice = f" To do: {do.rstrip('.')}." if do else ""
    return Section(id, title, missing=sentence.rstrip(".") + "." + advice)
