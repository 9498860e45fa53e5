"""Errors as small letters: what is wrong, what was expected, what came, where, and what to do.

Every error that Headwater raises on purpose is a :class:`HeadwaterError` that carries one or more
:class:`Problem` facts. The edges (command line, HTTP) turn the class into an exit code or a status;
nothing here knows of either. Read ``core.schema`` next to see the facts being collected.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class Problem:
    """One fact about what went wrong.

    Example:
        >>> print(Problem("the amount is not a number", expected="Float64", got="'abc'",
        ...               where="$.events[3].amount", do="send a number"))
        the amount is not a number
          expected: Float64
          got:      'abc'
          where:    $.events[3].amount
          do:       send a number
    """

    what: str
    expected: str | None = None
    got: str | None = None
    where: str | None = None
    do: str | None = None

    def __str__(self) -> str:
        facts = [("expected:", self.expected), ("got:", self.got), ("where:", self.where), ("do:", self.do)]
        return "\n".join([self.what, *(f"  {name:<9} {text}" for name, text in facts if text is not None)])


class HeadwaterError(Exception):
    """Base of every deliberate error. ``problems`` holds all facts found, not only the first.

    Example:
        >>> error = HeadwaterError(Problem("one"), Problem("two", do="mend it"))
        >>> len(error.problems)
        2
    """

    code: ClassVar[str] = "error"

    def __init__(self, *problems: Problem) -> None:
        self.problems: tuple[Problem, ...] = problems
        super().__init__("\n".join(str(problem) for problem in problems))

    @classmethod
    def of(
        cls,
        what: str,
        *,
        expected: str | None = None,
        got: str | None = None,
        where: str | None = None,
        do: str | None = None,
    ) -> Self:
        """An error of this class with a single problem."""
        return cls(Problem(what, expected, got, where, do))

    @classmethod
    def raise_if(cls, problems: Iterable[Problem]) -> None:
        """Raise one error that names every problem, or return if there is none."""
        found = tuple(problems)
        if found:
            raise cls(*found)


class DefinitionError(HeadwaterError):
    """A project file declares something that cannot hold."""

    code = "definition"


class DataError(HeadwaterError):
    """Input rows (events, spine, files) are not what was declared."""

    code = "data"


class ConflictError(HeadwaterError):
    """The same event id came again with other content."""

    code = "conflict"


class LogError(HeadwaterError):
    """The event log cannot be opened, written or trusted."""

    code = "log"


class StoreError(HeadwaterError):
    """A snapshot or decision record cannot be written or trusted."""

    code = "store"


class UnavailableError(StoreError):
    """A database that servers share is away; ``retry_after`` says in seconds when to come again."""

    code = "store-unavailable"
    retry_after: int = 1


class ClusterError(StoreError):
    """An engine outside of this process (Spark) cannot be started, or did not finish its work."""

    code = "cluster"


class OnlineError(StoreError):
    """The online store does not hold the whole state, or does not answer; to ask again later may help.

    Attributes:
        retry_after: seconds after which it is worth to come again.
    """

    code = "online"
    retry_after = 1


class FencedError(OnlineError):
    """Another server has taken over what this one published; this one has to stop."""

    code = "fenced"


class MisdirectedError(HeadwaterError):
    """The server has a part of the work, and what was asked for is another's."""

    code = "misdirected"


class ModelError(HeadwaterError):
    """A model cannot be fitted, converted, loaded or used."""

    code = "model"


class TrainingError(HeadwaterError):
    """A training set or an evaluation cannot be made from what is there."""

    code = "training"


class GateError(HeadwaterError):
    """A candidate may not become champion as things are, or the earlier champion may not come back."""

    code = "gate"


class ReplayError(HeadwaterError):
    """A past decision was not reproduced bit for bit."""

    code = "replay"


class DeliveryError(HeadwaterError):
    """Whoever should have been told could not be reached; to try again later may help."""

    code = "delivery"


class MissingExtraError(HeadwaterError):
    """An optional library is not installed."""

    code = "missing-extra"


class AccessError(HeadwaterError):
    """Nobody may be let in as things are set."""

    code = "access"


class CredentialMissingError(AccessError):
    """A request came without a credential."""

    code = "credential-missing"


class CredentialInvalidError(AccessError):
    """A credential is none that is known here; which part of it is wrong is not told."""

    code = "credential-invalid"


class CredentialExpiredError(AccessError):
    """A credential was right, and its time is over."""

    code = "credential-expired"


class CredentialRevokedError(AccessError):
    """A credential was right, and was taken back."""

    code = "credential-revoked"


class ForbiddenError(AccessError):
    """Whoever asked is known and may not do this."""

    code = "forbidden"


class RateError(AccessError):
    """Too many requests of one caller; ``retry_after`` says in seconds when to come again."""

    code = "rate-limited"
    retry_after: float = 1.0


class IdentityError(AccessError):
    """The identity provider cannot be asked for its keys, so that no token can be checked."""

    code = "identity-unavailable"
