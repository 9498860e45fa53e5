"""Who asks: a principal with roles. Made by ``door``; read by ``http.security``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headwater.core.errors import ForbiddenError
from headwater.store.credentials import ApiKey, Role

__all__ = ["OPEN", "Kind", "Principal", "Role", "of_key"]

Kind = Literal["key", "oidc", "open"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whose credential was right.

    Attributes:
        id: stands in logs and in the audit trail: ``key:3f9c0a7be412``, ``oidc:<subject>``, ``open``.
        name: for people.
        roles: what they may do; none is possible, and lets them do nothing.
        kind: what they proved themselves with.
        expires: when the credential ends, microseconds UTC; None: never.
        rate: requests a second that they may send, 0 for no limit; None: as many as anybody.
    """

    id: str
    name: str
    roles: frozenset[Role]
    kind: Kind
    expires: int | None = None
    rate: float | None = None

    def may(self, role: Role) -> bool:
        """Whether they have the role, or all of them.

        Example:
            >>> OPEN.may(Role.INGEST)
            True
        """
        return role in self.roles or Role.ADMIN in self.roles

    def need(self, role: Role) -> None:
        """Refuse whoever has not the role.

        Raises:
            ForbiddenError: they have not.
        """
        if not self.may(role):
            raise ForbiddenError.of(
                "this credential may not do that",
                expected=f"the role {role}",
                got=", ".join(sorted(self.roles)) or "no role",
                do="use a credential that has the role, or ask an administrator for it",
            )


OPEN = Principal("open", "open", frozenset({Role.ADMIN}), "open")


def of_key(key: ApiKey) -> Principal:
    """Whoever sent a key's secret."""
    return Principal(f"key:{key.id}", key.name, frozenset(key.roles), "key", key.expires, key.rate)
