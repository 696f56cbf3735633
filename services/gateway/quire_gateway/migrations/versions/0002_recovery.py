"""Recovery: replays to one service, dead letters, the audit log, what the sweeper must remember, and scopes of keys."""

from quire_runtime import outbox
from quire_runtime.migrate import script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    script(outbox.TARGET)
    script("""
    -- What a key may do beyond its own workspace: `operator` looks after the whole installation. The first key was
    -- given to whoever installed it.
    ALTER TABLE api_key ADD COLUMN scopes text[] NOT NULL DEFAULT '{}';
    UPDATE api_key SET scopes = '{operator}' WHERE id = (SELECT id FROM api_key ORDER BY created_at, id LIMIT 1);

    -- How often the sweeper has given the document's causes out once more since it last got on.
    ALTER TABLE document ADD COLUMN replays smallint NOT NULL DEFAULT 0;
    CREATE INDEX document_processing ON document (created_at) WHERE status = 'processing' AND deleted_at IS NULL;

    -- Messages that no worker could handle, moved here from the parked queues: one row for each (service, message).
    CREATE TABLE dead_letter (
        id text PRIMARY KEY,
        service text NOT NULL,
        event_id text,                          -- these five: none where the body is not an event
        event_type text,
        workspace_id text,
        document_id text,
        event_time timestamptz,
        reason text NOT NULL,
        attempts integer NOT NULL,
        times integer NOT NULL DEFAULT 1,       -- how often it was parked
        first_at timestamptz NOT NULL DEFAULT now(),
        last_at timestamptz NOT NULL DEFAULT now(),
        state text NOT NULL DEFAULT 'parked' CHECK (state IN ('parked', 'requeued', 'discarded')),
        headers jsonb NOT NULL,
        body bytea NOT NULL
    );
    CREATE INDEX dead_letter_newest ON dead_letter (last_at DESC, id DESC) WHERE state = 'parked';
    CREATE INDEX dead_letter_document ON dead_letter (document_id) WHERE state = 'parked';

    -- Who did what; rows are only ever added.
    CREATE TABLE audit (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        workspace_id text,
        actor text NOT NULL,                    -- id of the key, or `sweeper`
        action text NOT NULL,                   -- for example `dead-letters.requeue`
        subject text,                           -- what it was done to, where that is one thing
        detail jsonb NOT NULL DEFAULT '{}'
    );
    CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'the audit log is only ever added to'; END $$;
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

    -- When the sweeper's seldom jobs ran last, whichever gateway did them.
    CREATE TABLE chore (
        name text PRIMARY KEY,
        ran_at timestamptz NOT NULL
    );
    """)


def downgrade() -> None:
    raise RuntimeError("not taken back: the previous release runs on this schema as it is")
