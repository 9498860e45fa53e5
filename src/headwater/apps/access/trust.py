"""What is believed of an identity provider's tokens. Set by ``settings``, used by ``tokens``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headwater.store.credentials import Role

# Signatures with public keys only: with a shared secret, whoever checks a token could make one.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Trust:
    """What is believed of a token.

    Attributes:
        issuer: ``iss``, to the letter.
        audience: must be among ``aud``.
        algorithms: some of :data:`ALGORITHMS`.
        roles_claim: where the roles stand: a claim's name, or a path such as ``realm_access.roles``.
        roles: the provider's names to ours; a name of ours stands for itself where nothing is given.
        leeway: by how much its clock and ours may differ, microseconds.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "Ed25519")
    roles_claim: str = "roles"
    roles: Mapping[str, Role] = field(default_factory=lambda: {role.value: role for role in Role})
    leeway: int = 60 * _SECOND
