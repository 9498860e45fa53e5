"""The tables as queries see them. They are made by ``migrations``, which has the words that made them.

Called by ``decisions``, ``audit``, ``credentials``, ``jobs`` and ``dead_letters``.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, LargeBinary, Text

SCHEMA = "headwater"
LONGEST = 512  # characters of a key that stand in the index; a longer one stands there by its hash
METADATA = sa.MetaData(schema=SCHEMA)

DECISIONS = sa.Table(
    "decisions",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("model", Text),
    Column("policy", Text),
    Column("band", Text),
    Column("decided_at", BigInteger),
    Column("time", BigInteger),
    Column("log_offset", BigInteger),
    Column("chain", LargeBinary),
    Column("record", Text),
    Column("writer", BigInteger),
)
KEYS = sa.Table(
    "decision_keys",
    METADATA,
    Column("value", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
)
REQUESTS = sa.Table(
    "decision_requests",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("digest", Text),
    Column("number", BigInteger),
)
TRAIL = sa.Table(
    "trail",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("entry", Text),
    Column("chain", LargeBinary),
)
JOBS = sa.Table(
    "jobs",
    METADATA,
    Column("number", BigInteger, primary_key=True),
    Column("name", Text),
    Column("due", BigInteger),
    Column("state", Text),
    Column("why", Text),
    Column("asked_by", Text),
    Column("planned", BigInteger),
    Column("attempt", BigInteger),
    Column("started", BigInteger),
    Column("ended", BigInteger),
    Column("again", BigInteger),
    Column("outcome", Text),
    Column("letter", Text),
    Column("owner", Text),
    Column("leased", sa.DateTime(timezone=True)),
)
KNOWN = sa.Table("jobs_known", METADATA, Column("name", Text, primary_key=True), Column("since", BigInteger))
LETTERS = sa.Table(
    "dead_letters",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("origin", Text),
    Column("origin_id", BigInteger),
    Column("stream", Text),
    Column("arrival", BigInteger),
    Column("reason", Text),
    Column("message", Text),
    Column("event", Text),
    Column("source", Text),
)
API_KEYS = sa.Table(
    "api_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("roles", Text),
    Column("created", BigInteger),
    Column("expires", BigInteger),
    Column("revoked", BigInteger),
    Column("digest", LargeBinary),
    Column("rotated", BigInteger),
    Column("old_digest", LargeBinary),
    Column("old_until", BigInteger),
    Column("rate", sa.Double),
)
USES = sa.Table("api_key_uses", METADATA, Column("id", Text, primary_key=True), Column("used", BigInteger))
CHANGES = sa.Table("api_key_changes", METADATA, Column("version", BigInteger))


def index_value(value: str) -> str:
    """A key's value as it stands in the index, whose entries are bounded.

    Example:
        >>> index_value("7"), index_value("7" * 600)[:14]
        ('7', 'sha256:58347b4')
    """
    return value if len(value) <= LONGEST else f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"
