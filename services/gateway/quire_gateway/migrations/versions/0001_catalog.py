"""The catalog: workspaces, keys, documents with their stages, the event log, and the outbox."""

from quire_runtime import outbox
from quire_runtime.migrate import script

revision = "0001"
down_revision = None


def upgrade() -> None:
    script("""
    CREATE TABLE workspace (
        id text PRIMARY KEY,
        name text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    );

    CREATE TABLE account (
        id text PRIMARY KEY,
        workspace_id text NOT NULL REFERENCES workspace,
        email text NOT NULL UNIQUE,
        password_hash text NOT NULL,
        role text NOT NULL CHECK (role IN ('admin', 'editor', 'viewer')),
        created_at timestamptz NOT NULL DEFAULT now()
    );

    -- Only the SHA-256 of a key is kept: 256 random bits need no salt and no slow hash.
    CREATE TABLE api_key (
        id text PRIMARY KEY,
        workspace_id text NOT NULL REFERENCES workspace,
        name text NOT NULL,
        prefix text NOT NULL,
        key_sha256 bytea NOT NULL UNIQUE,
        created_at timestamptz NOT NULL DEFAULT now(),
        revoked_at timestamptz
    );

    CREATE TABLE signing_secret (
        purpose text PRIMARY KEY,
        secret text NOT NULL
    );
    INSERT INTO signing_secret VALUES ('cursor', gen_random_uuid()::text || gen_random_uuid()::text);

    CREATE TABLE document (
        id text PRIMARY KEY,
        workspace_id text NOT NULL REFERENCES workspace,
        revision integer NOT NULL DEFAULT 1,
        version integer NOT NULL DEFAULT 1,
        title text NOT NULL,
        filename text NOT NULL,
        folder text NOT NULL DEFAULT '/',
        tags text[] NOT NULL DEFAULT '{}',
        metadata jsonb NOT NULL DEFAULT '{}',
        media_type text NOT NULL,
        size bigint NOT NULL,
        sha256 text NOT NULL,
        content_key text NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        deleted_at timestamptz,

        ingest text NOT NULL DEFAULT 'pending',
        embed text NOT NULL DEFAULT 'pending',
        "index" text NOT NULL DEFAULT 'pending',
        preview text NOT NULL DEFAULT 'pending',
        enrich text NOT NULL DEFAULT 'pending',
        reasons jsonb NOT NULL DEFAULT '{}',
        status text NOT NULL GENERATED ALWAYS AS (
            CASE
                WHEN 'failed' IN (ingest, embed, "index") THEN 'failed'
                WHEN 'pending' IN (ingest, embed, "index", preview, enrich) THEN 'processing'
                ELSE 'ready'
            END
        ) STORED,

        searchable text[] NOT NULL DEFAULT '{}',
        language text,
        page_count integer,
        characters bigint,
        chunks integer,
        text_key text,
        summary text,
        keywords text[] NOT NULL DEFAULT '{}',
        suggested_tags text[] NOT NULL DEFAULT '{}',
        previews jsonb
    ) WITH (fillfactor = 70);

    -- One living document for each content of a workspace: this index is what finds duplicates.
    CREATE UNIQUE INDEX document_content ON document (workspace_id, sha256) WHERE deleted_at IS NULL;
    CREATE INDEX document_newest ON document (workspace_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;

    -- The event log of every document: its timeline, and the feed that clients follow. The primary key is the gateway's
    -- inbox. (txid, seq) orders the feed: a reader that stops below the oldest running transaction misses nothing,
    -- which a sequence alone cannot promise, because numbers are drawn before the commit.
    CREATE TABLE event (
        id text PRIMARY KEY,
        seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
        txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        workspace_id text NOT NULL,
        document_id text NOT NULL,
        type text NOT NULL,
        at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        body text NOT NULL
    );
    CREATE INDEX event_feed ON event (txid, seq);
    CREATE INDEX event_timeline ON event (document_id, seq);
    """)
    script(outbox.TABLE)


def downgrade() -> None:
    raise RuntimeError("the first migration is not taken back: drop the schema instead")
