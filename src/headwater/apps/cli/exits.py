"""Exit codes: what a script learns from how a command ended. Never renumbered once released.

The classes of ``core.errors`` become numbers here and nowhere else. ``docs/reference/errors.md`` is generated
from :data:`MEANINGS`.
"""

from __future__ import annotations

from enum import IntEnum

from headwater.core.errors import (
    AccessError,
    ConflictError,
    DataError,
    DefinitionError,
    DeliveryError,
    GateError,
    HeadwaterError,
    LogError,
    MisdirectedError,
    MissingExtraError,
    ModelError,
    ReplayError,
    StoreError,
    TrainingError,
)


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    BUG = 1
    USAGE = 2
    DEFINITION = 3
    DATA = 4
    STORE = 5
    MODEL = 6
    UNPROVEN = 7
    ACCESS = 8
    ALARM = 9
    HELD = 10
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "done",
    Exit.BUG: "an unexpected failure: a bug, shown with an id to report it by",
    Exit.USAGE: "the command was called wrongly or of the wrong server, or an optional library is missing",
    Exit.DEFINITION: "the project file declares something that cannot hold",
    Exit.DATA: "input (events, spine, files, times) is not what was declared",
    Exit.STORE: "the log, a store, the disk or the mail server cannot be read, written, trusted or reached",
    Exit.MODEL: "a model cannot be trained, evaluated, found or used",
    Exit.UNPROVEN: "a verification failed: the log is damaged, or a replay gave other bits",
    Exit.ACCESS: "access was refused: no credential, a wrong one, or one that may not do this",
    Exit.ALARM: "what was looked at is in alarm: drift, outcomes or fairness, or an alert is open",
    Exit.HELD: "a gate held a candidate, or a change of champion was refused; the champion is as it was",
    Exit.INTERRUPTED: "interrupted with Ctrl-C; nothing is half-applied",
}

_EXITS: dict[type[HeadwaterError], Exit] = {
    DefinitionError: Exit.DEFINITION,
    DataError: Exit.DATA,
    ConflictError: Exit.DATA,
    LogError: Exit.STORE,
    StoreError: Exit.STORE,
    ModelError: Exit.MODEL,
    TrainingError: Exit.MODEL,
    GateError: Exit.HELD,
    ReplayError: Exit.UNPROVEN,
    DeliveryError: Exit.STORE,
    MissingExtraError: Exit.USAGE,
    AccessError: Exit.ACCESS,
    MisdirectedError: Exit.USAGE,
}


def exit_of(error: HeadwaterError) -> Exit:
    """The exit code of a deliberate error.

    Example:
        >>> exit_of(DataError.of("the file is empty")).value
        4
    """
    return next((_EXITS[kind] for kind in type(error).__mro__ if kind in _EXITS), Exit.BUG)
