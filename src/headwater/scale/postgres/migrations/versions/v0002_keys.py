"""API keys, when they were last used, and a number that tells a server that a key was changed."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE headwater.api_keys (
    id text PRIMARY KEY, name text NOT NULL, roles text NOT NULL, created bigint NOT NULL, expires bigint,
    revoked bigint, digest bytea NOT NULL, rotated bigint, old_digest bytea, old_until bigint,
    rate double precision
)

CREATE TABLE headwater.api_key_uses (id text PRIMARY KEY, used bigint NOT NULL)

CREATE TABLE headwater.api_key_changes (id integer PRIMARY KEY CHECK (id = 1), version bigint NOT NULL)

INSERT INTO headwater.api_key_changes VALUES (1, 0)
"""

_FUNCTIONS = (
    """
    CREATE FUNCTION headwater.remain() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% are never deleted', TG_ARGV[0];
    END $$
    """,
    """
    CREATE FUNCTION headwater.tell_key_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE headwater.api_key_changes SET version = version + 1;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER api_keys_told AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON headwater.api_keys
        FOR EACH STATEMENT EXECUTE FUNCTION headwater.tell_key_change()
    """,
)


def upgrade() -> None:
    """Make them."""
    for statement in [*_TABLES.split("\n\n"), *_FUNCTIONS]:
        op.execute(statement)
    for name, when, each in (("stay", "DELETE", "ROW"), ("remain", "TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER api_keys_{name} BEFORE {when} ON headwater.api_keys"
            f" FOR EACH {each} EXECUTE FUNCTION headwater.remain('API keys')"
        )


def downgrade() -> None:
    """Nothing: keys are never deleted by a program. Restore a copy instead."""
    raise NotImplementedError("keys are never deleted: restore a copy of the database instead")
