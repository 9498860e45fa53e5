"""Decision records, audit trail, jobs and dead letters.

Appending is a function of the database: the lock that makes one chain of what all servers write is held for
one statement, never while a server thinks or a packet travels. The order inside: lock, see whether this call
was done already (a server that lost its connection asks again), link, insert.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
CREATE SCHEMA IF NOT EXISTS headwater

CREATE TABLE headwater.writers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(), call bigint NOT NULL DEFAULT 0, answers jsonb
)

CREATE TABLE headwater.decisions (
    number bigint PRIMARY KEY, model text NOT NULL, policy text NOT NULL, band text NOT NULL,
    decided_at bigint NOT NULL, "time" bigint NOT NULL, log_offset bigint NOT NULL,
    chain bytea NOT NULL, record text NOT NULL, writer bigint NOT NULL
)

CREATE INDEX decisions_at ON headwater.decisions (decided_at)

CREATE INDEX decisions_of_model ON headwater.decisions (model, number)

CREATE INDEX decisions_of_band ON headwater.decisions (band, number)

CREATE TABLE headwater.decision_keys (
    value text NOT NULL, name text NOT NULL, number bigint NOT NULL, PRIMARY KEY (value, name, number)
)

CREATE INDEX decision_keys_of ON headwater.decision_keys (number)

CREATE TABLE headwater.decision_requests (key text PRIMARY KEY, digest text NOT NULL, number bigint NOT NULL)

CREATE TABLE headwater.trail (number bigint PRIMARY KEY, entry text NOT NULL, chain bytea NOT NULL)

CREATE TABLE headwater.jobs (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, due bigint NOT NULL,
    state text NOT NULL, why text NOT NULL, asked_by text, planned bigint NOT NULL, attempt bigint NOT NULL,
    started bigint, ended bigint, again bigint, outcome text NOT NULL, letter text NOT NULL,
    owner text, leased timestamptz, UNIQUE (name, due)
)

CREATE INDEX jobs_by_state ON headwater.jobs (state)

CREATE TABLE headwater.jobs_known (name text PRIMARY KEY, since bigint NOT NULL)

CREATE TABLE headwater.dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, origin text NOT NULL, origin_id bigint NOT NULL,
    stream text NOT NULL, arrival bigint NOT NULL, reason text NOT NULL, message text NOT NULL,
    event text NOT NULL, source text
)

CREATE INDEX dead_letters_by_stream ON headwater.dead_letters (stream, reason)

CREATE TABLE headwater.dead_letters_moved (origin text PRIMARY KEY, last bigint NOT NULL)
"""

_GUARDS = """
CREATE FUNCTION headwater.stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% are never changed or deleted', TG_ARGV[0];
END $$
"""

_APPEND = """
CREATE FUNCTION headwater.append_decisions(
    p_writer bigint, p_call bigint, p_all boolean, p_model text[], p_policy text[], p_band text[],
    p_decided_at bigint[], p_time bigint[], p_offset bigint[], p_record text[], p_name text[],
    p_digest text[], p_key_of integer[], p_key_name text[], p_key_value text[]
) RETURNS TABLE (o_place integer, o_number bigint, o_chain bytea, o_how text, o_record text)
LANGUAGE plpgsql AS $$
DECLARE
    v_call bigint; v_answers jsonb; v_number bigint; v_chain bytea; v_digest text; v_earlier bigint;
    v_how text[]; v_at bigint[]; v_link bytea[];
BEGIN
    PERFORM pg_advisory_xact_lock(1212630084, 1);  -- "HWD" and which chain
    SELECT w.call, w.answers INTO v_call, v_answers FROM headwater.writers w WHERE w.id = p_writer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such writer' USING ERRCODE = 'HW002';
    ELSIF v_call > p_call THEN
        RAISE EXCEPTION 'a later call was answered already' USING ERRCODE = 'HW002';
    ELSIF v_call < p_call THEN
        SELECT d.number, d.chain INTO v_number, v_chain
            FROM headwater.decisions d ORDER BY d.number DESC LIMIT 1;
        IF NOT FOUND THEN
            v_number := 0;
            v_chain := decode(repeat('00', 32), 'hex');
        END IF;
        FOR i IN 1 .. cardinality(p_record) LOOP
            v_digest := NULL;
            IF p_name[i] IS NOT NULL THEN
                SELECT r.digest, r.number INTO v_digest, v_earlier
                    FROM headwater.decision_requests r WHERE r.key = p_name[i];
            END IF;
            IF v_digest IS NOT NULL THEN
                IF v_digest <> p_digest[i] AND p_all THEN
                    RAISE EXCEPTION '%', v_earlier USING ERRCODE = 'HW001';
                END IF;
                v_how[i] := CASE WHEN v_digest = p_digest[i] THEN 'same' ELSE 'conflict' END;
                v_at[i] := v_earlier;
                CONTINUE;
            END IF;
            v_number := v_number + 1;
            v_chain := sha256(v_chain || convert_to(p_record[i], 'UTF8'));
            v_how[i] := 'new';
            v_at[i] := v_number;
            v_link[i] := v_chain;
            IF p_name[i] IS NOT NULL THEN
                INSERT INTO headwater.decision_requests VALUES (p_name[i], p_digest[i], v_number);
            END IF;
        END LOOP;
        INSERT INTO headwater.decisions
            SELECT v_at[i], p_model[i], p_policy[i], p_band[i], p_decided_at[i], p_time[i], p_offset[i],
                v_link[i], p_record[i], p_writer
            FROM generate_series(1, cardinality(p_record)) AS i WHERE v_how[i] = 'new';
        INSERT INTO headwater.decision_keys
            SELECT p_key_value[k], p_key_name[k], v_at[p_key_of[k]]
            FROM generate_series(1, cardinality(p_key_of)) AS k WHERE v_how[p_key_of[k]] = 'new';
        v_answers := jsonb_build_object('how', to_jsonb(v_how), 'at', to_jsonb(v_at));
        UPDATE headwater.writers SET call = p_call, answers = v_answers WHERE id = p_writer;
    END IF;
    RETURN QUERY
        SELECT a.i::integer, a.at::bigint, d.chain, a.how, CASE WHEN a.how = 'same' THEN d.record END
        FROM ROWS FROM (
            jsonb_array_elements_text(v_answers -> 'how'), jsonb_array_elements_text(v_answers -> 'at')
        ) WITH ORDINALITY AS a (how, at, i)
        LEFT JOIN headwater.decisions d ON d.number = a.at::bigint ORDER BY a.i;
END $$
"""

_ADMINISTER = """
CREATE FUNCTION headwater.append_act(p_entry text, OUT o_number bigint, OUT o_chain bytea)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1212630084, 2);
    SELECT t.number, t.chain INTO o_number, o_chain FROM headwater.trail t ORDER BY t.number DESC LIMIT 1;
    IF NOT FOUND THEN
        o_number := 0;
        o_chain := decode(repeat('00', 32), 'hex');
    END IF;
    o_number := o_number + 1;
    o_chain := sha256(o_chain || convert_to(p_entry, 'UTF8'));
    INSERT INTO headwater.trail VALUES (o_number, p_entry, o_chain);
END $$
"""

_GUARDED = {
    "decisions": "decision records",
    "decision_keys": "decision records",
    "decision_requests": "idempotency keys",
    "trail": "audit entries",
}


def upgrade() -> None:
    """Make everything."""
    for statement in [*_TABLES.split("\n\n"), _GUARDS, _APPEND, _ADMINISTER]:
        op.execute(statement)
    for table, noun in _GUARDED.items():
        for name, when, each in (
            ("stay", "UPDATE OR DELETE", "ROW"),
            ("remain", "TRUNCATE", "STATEMENT"),
        ):
            op.execute(
                f"CREATE TRIGGER {table}_{name} BEFORE {when} ON headwater.{table}"
                f" FOR EACH {each} EXECUTE FUNCTION headwater.stay('{noun}')"
            )


def downgrade() -> None:
    """Nothing: records are never deleted by a program. Restore a copy instead."""
    raise NotImplementedError("records are never deleted: restore a copy of the database instead")
