"""What a decision record is, and what all stores of records read alike, wherever these lie.

Inherited by ``decisions`` and ``scale.postgres.decisions``, which know how a page is read.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from headwater.core.errors import ConflictError, StoreError
from headwater.store.decision import Decision
from headwater.store.ledger import Head

PAGE = 500  # records at a time, where all are read


@dataclass(frozen=True, slots=True)
class Record:
    """A decision in its place: ``number`` counts from 1; ``chain`` is its link, 32 bytes."""

    number: int
    decision: Decision
    chain: bytes

    @property
    def id(self) -> str:
        """What it is called outside, such as ``d17``."""
        return f"d{self.number}"


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A sender's name for one request, so that sending it again decides nothing anew.

    Attributes:
        key: the name.
        digest: of the request as it was sent; the same key with another digest is a conflict.
    """

    key: str
    digest: str


class Readings(ABC):
    """What follows from a page, a record and the last link.

    Attributes:
        page: as ``store.protocol.Decisions`` has it.
    """

    page: Callable[..., list[Record]]

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the records lie."""

    @abstractmethod
    def find(self, id: int | str) -> Record | None:
        """A record by its number or id, or None."""

    @abstractmethod
    def head(self) -> Head:
        """The last record's number and link."""

    def get(self, id: int | str) -> Record:
        """A record by its number or id.

        Raises:
            StoreError: there is no such record.
        """
        found = self.find(id)
        if found is None:
            count = len(self)
            raise StoreError.of(
                f"there is no decision {id}",
                expected=f"a number from 1 to {count}" if count else "a number; nothing was decided yet",
                got=str(id),
                where=self.place,
                do="look at the newest ones first",
            )
        return found

    def scan(self, *, until_number: int | None = None, after: int = 0, **filters: Any) -> Iterator[Record]:
        """All records that :meth:`page` would give, page by page, up to a number if one is given."""
        while True:
            page = self.page(after=after, limit=PAGE, **filters)
            for record in page:
                if until_number is not None and record.number > until_number:
                    return
                yield record
            if len(page) < PAGE:
                return
            after = page[-1].number

    def of(self, model: str, keys: str | None = None, limit: int = 100) -> list[Record]:
        """The newest decisions of a model, or of one entity (see :func:`key_text`), the newest first."""
        return self.page(model=model, key=json.loads(keys) if keys else None, limit=limit, newest=True)

    def __iter__(self) -> Iterator[Record]:
        """All records in their order."""
        return self.scan()

    def __len__(self) -> int:
        return self.head().number


def number_of(id: int | str) -> int | None:
    """The number behind an id, or None if it cannot be one.

    Example:
        >>> number_of("d17"), number_of("17"), number_of(17), number_of("x")
        (17, 17, 17, None)
    """
    if isinstance(id, str):
        digits = id.removeprefix("d")
        if not (digits.isascii() and digits.isdecimal() and len(digits) < len(str(2**63))):
            return None
        id = int(digits)
    return id


def record_of(row: Any) -> Record:
    """A record of its number, text and link, as a row."""
    number, text, chain = row
    return Record(number, Decision.from_json(json.loads(text)), bytes(chain))


def conflict(number: int) -> ConflictError:
    """The letter for a key that came with another request, which became this record."""
    return ConflictError.of(
        "an idempotency key came again with another request",
        expected="the same request as before, or a key of its own",
        got="another request under the same key",
        where=f"decision d{number}",
        do="give each new request a new key",
    )
