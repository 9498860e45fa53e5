"""What the edge needs of this folder, by name: imported once it is known that the extra is installed."""

from __future__ import annotations

from headwater.scale.postgres.address import Address
from headwater.scale.postgres.audit import PostgresTrail
from headwater.scale.postgres.credentials import PostgresCredentials
from headwater.scale.postgres.database import Database
from headwater.scale.postgres.dead_letters import Moved, PostgresDeadLetters
from headwater.scale.postgres.decisions import PostgresDecisions
from headwater.scale.postgres.jobs import PostgresJobs
from headwater.scale.postgres.schema import Standing, need_current, standing, upgrade

__all__ = [
    "Address",
    "Database",
    "Moved",
    "PostgresCredentials",
    "PostgresDeadLetters",
    "PostgresDecisions",
    "PostgresJobs",
    "PostgresTrail",
    "Standing",
    "need_current",
    "standing",
    "upgrade",
]
