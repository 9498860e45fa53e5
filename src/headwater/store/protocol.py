"""What a store of records is, wherever it lies: SQLite in the data folder, or a database that servers share.

::

    Decisions    what was decided: one chain, numbered from 1 without a gap
    Trail        what was administered: one chain, numbered from 1 without a gap
    Jobs         what is to be done once, by whoever takes it first
    Credentials  who may ask: API keys, each act on them in the trail

Obeyed by ``decisions``, ``audit``, ``jobs`` and ``credentials`` here and by ``scale.postgres``; one suite of
tests holds all of them to it. Opened by ``apps.stores``; dead letters have theirs in ``log.protocol``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from headwater.core.errors import HeadwaterError, Problem
from headwater.core.secret import Secret
from headwater.store.apikey import ApiKey, Role
from headwater.store.audit import Act, Entry
from headwater.store.chain import Walk
from headwater.store.decision import Decision
from headwater.store.decisions import Idempotency, Record
from headwater.store.jobs import Job, State
from headwater.store.ledger import Head

Name = Idempotency | str | None


class _Opened(Protocol):
    def close(self) -> None:
        """Let go of it."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Decisions(_Opened, Protocol):
    """Decision records, append-only, each chained to the one before. Safe to share between threads.

    * An append is durable when it returns; one that raises acknowledged nothing.
    * Numbers count from 1 without gaps, and whoever sees a number sees all before it: a number is a cursor.
    * An idempotency key holds for all that append to the same records.
    """

    @property
    def name(self) -> str:
        """What the records are called in the audit trail."""
        ...

    def append(self, decisions: Sequence[Decision], idempotency: Sequence[Name] = ()) -> list[Record]:
        """Append decisions, all or none; a key that came before, with its request, answers with its record.

        Raises:
            ConflictError: a key came before with another request. Nothing was appended.
            StoreError: a decision that JSON cannot hold, or the store. Nothing was appended.
        """
        ...

    def append_each(
        self, decisions: Sequence[Decision], idempotency: Sequence[Name] = ()
    ) -> list[Record | HeadwaterError]:
        """Append decisions of several senders with one wait: one's error is not another's."""
        ...

    def earlier(self, idempotency: Idempotency) -> Record | None:
        """What was decided when this request came before; None if it did not.

        Raises:
            ConflictError: the key came before with another request.
        """
        ...

    def write_ahead(self) -> None:
        """Make room for the records that are to come, before anybody waits for them."""
        ...

    def fold(self) -> None:
        """Tidy up behind the writer, from a thread in the background."""
        ...

    def get(self, id: int | str) -> Record:
        """A record by its number or id.

        Raises:
            StoreError: there is no such record.
        """
        ...

    def find(self, id: int | str) -> Record | None:
        """A record by its number or id, or None."""
        ...

    def page(
        self,
        *,
        model: str | None = None,
        policy: str | None = None,
        key: Mapping[str, Any] | str | None = None,
        since: int | None = None,
        until: int | None = None,
        band: str | None = None,
        after: int = 0,
        limit: int = 100,
        newest: bool = False,
    ) -> list[Record]:
        """Records that match all that is given, in their order: see ``DecisionStore.page``."""
        ...

    def scan(self, *, until_number: int | None = None, after: int = 0, **filters: Any) -> Iterator[Record]:
        """All records that :meth:`page` would give, page by page, up to a number if one is given."""
        ...

    def count(
        self,
        *,
        model: str | None = None,
        policy: str | None = None,
        key: Mapping[str, Any] | str | None = None,
        since: int | None = None,
        until: int | None = None,
        band: str | None = None,
    ) -> int:
        """How many records :meth:`scan` would give."""
        ...

    def tally(self, model: str, since: int, until: int) -> list[tuple[int, str, int]]:
        """Day, band and how many decisions of a model, in a stretch, ascending."""
        ...

    def sides(self, model: str, since: int) -> list[tuple[str, str, int]]:
        """The seal of a version, a band, and how many decisions of a model, ascending."""
        ...

    def between(
        self, model: str, key: Mapping[str, Any], *, before: int, since: int, until: int | None, last: int
    ) -> list[Record]:
        """Decisions that an event of an entity would have been part of, had it been known in time."""
        ...

    def of(self, model: str, keys: str | None = None, limit: int = 100) -> list[Record]:
        """The newest decisions of a model, or of one entity, the newest first."""
        ...

    def __iter__(self) -> Iterator[Record]: ...

    def __len__(self) -> int: ...

    def head(self) -> Head:
        """The last record's number and link."""
        ...

    def verify(self, known: Head | None = None) -> int:
        """Follow the chain from the first record to the last; how many there are.

        Raises:
            StoreError: a record is missing, is not the one that was written, cannot be read or is not found
                where it should be. Says which.
        """
        ...


class Trail(_Opened, Protocol):
    """The audit trail, append-only, each entry chained to the one before. Safe to share between threads."""

    def append(self, act: Act) -> Entry:
        """Append an act; durable when this returns.

        Raises:
            StoreError: the store, or an act that JSON cannot hold. Nothing was appended.
        """
        ...

    def page(self, *, after: int = 0, limit: int = 100) -> list[Entry]:
        """Entries ascending by number, at most ``limit`` of those behind the number ``after``."""
        ...

    def newest(self, limit: int = 100) -> list[Entry]:
        """The newest entries, the newest first."""
        ...

    def __len__(self) -> int: ...

    def verify(self, marks: Collection[bytes] = ()) -> Walk:
        """Follow the chain from the first entry to the last.

        Raises:
            StoreError: at the first entry that is missing, slipped in or not as it was written.
        """
        ...


class Jobs(_Opened, Protocol):
    """Jobs, each run once. Safe to share between threads.

    Whoever plans or runs holds the turn of its data folder (``store.holding``). Where several servers share
    the jobs, each has its own turn; then :meth:`take` decides whose a job is.
    """

    def plan(self, name: str, due: int, why: str, *, now: int, asked_by: str | None = None) -> Job:
        """A job that waits for its turn, or the one of this name and moment that there is already."""
        ...

    def take(self, job: Job, *, now: int) -> Job | None:
        """It is run now, by this process; None if another took it since it was looked at."""
        ...

    def note(self, number: int, facts: Mapping[str, Any]) -> Job:
        """Facts that an attempt needs again if it is cut short."""
        ...

    def put_back(self, number: int, *, counts: bool) -> Job:
        """It was cut short and waits again. An attempt that was ended on purpose does not count."""
        ...

    def end(
        self,
        number: int,
        state: State,
        *,
        now: int,
        outcome: Mapping[str, Any] | None = None,
        letter: Sequence[Problem] = (),
        again: int | None = None,
    ) -> Job:
        """What came of it."""
        ...

    def known_since(self, names: Sequence[str], *, now: int) -> dict[str, int]:
        """When each job was seen for the first time."""
        ...

    def find(self, number: int) -> Job | None:
        """The job of a number; None if there is none."""
        ...

    def running(self) -> list[Job]:
        """Those that are told to be running."""
        ...

    def abandoned(self) -> list[Job]:
        """Those of them whose process died; asked by whoever holds the turn."""
        ...

    def open_ones(self) -> list[Job]:
        """Those that wait, run, or are to be tried again; the one that was due first comes first."""
        ...

    def newest(self, name: str) -> Job | None:
        """The job of a name that was due last."""
        ...

    def newest_done(self, name: str) -> Job | None:
        """The one of them that was due last and is done."""
        ...

    def page(self, *, name: str | None = None, before: int | None = None, limit: int = 100) -> list[Job]:
        """The newest jobs, those planned last first; with ``before``, those with smaller numbers."""
        ...


class Credentials(_Opened, Protocol):
    """API keys. Safe to share between threads.

    What others do to a key is seen at the next look. ``look=False`` takes what was seen at the last one, and
    waits for no network.
    """

    @property
    def shared(self) -> bool:
        """Whether a look waits for a network, and belongs off the way of a request."""
        ...

    def create(
        self,
        name: str,
        roles: Collection[Role],
        *,
        now: int,
        actor: str,
        expires: int | None = None,
        rate: float | None = None,
    ) -> tuple[ApiKey, Secret]:
        """A new key, and its secret, which cannot be had again: see ``KeyHolder.create``."""
        ...

    def rotate(
        self, which: str, *, now: int, actor: str, grace: int, expires: int | None = None
    ) -> tuple[ApiKey, Secret]:
        """A new secret for a key; the present one is taken for ``grace`` microseconds more."""
        ...

    def revoke(self, which: str, *, now: int, actor: str) -> ApiKey:
        """Take a key back, at once and for good."""
        ...

    def listing(self) -> list[ApiKey]:
        """All keys, the oldest first, revoked ones too."""
        ...

    def __len__(self) -> int: ...

    def look(self, now: int) -> bool:
        """Look whether keys were changed; False where that cannot be seen now."""
        ...

    def due(self, secret: str, now: int) -> bool:
        """Whether :meth:`look` comes before :meth:`authenticate`, for a secret that was not seen before."""
        ...

    def any(self, now: int, *, look: bool = True) -> bool:
        """Whether there are keys, revoked ones too."""
        ...

    def find(self, ident: str, now: int = 0, *, look: bool = True) -> ApiKey | None:
        """A key by its id."""
        ...

    def authenticate(self, secret: str, now: int, *, look: bool = True) -> ApiKey:
        """The key that a secret proves.

        Raises:
            CredentialInvalidError: it is no secret of any key.
            CredentialExpiredError, CredentialRevokedError: it was one.
            UnavailableError: that cannot be told now.
        """
        ...

    def note_uses(self) -> int:
        """Write down when keys were last used; how many."""
        ...

    def lookups(self) -> tuple[int, int]:
        """How often a secret's key was remembered, and how often it had to be looked for."""
        ...

    def verify(self) -> int:
        """Compare the keys with what the trail says of them; how many there are.

        Raises:
            StoreError: a key is not as the last act on it left it.
        """
        ...
