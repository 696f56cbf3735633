"""The index: workspaces, documents, chunks with their terms, embeddings, document frequencies, inbox and outbox."""

from alembic import op

from quire_runtime import inbox, outbox

revision = "0001"
down_revision = None

TABLES = """
CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;

CREATE TABLE workspace (
    no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    version bigint NOT NULL DEFAULT 0,      -- grows with every transaction that changes what a query may answer
    chunks bigint NOT NULL DEFAULT 0,       -- chunks with text: N of the document frequencies
    languages text[] NOT NULL DEFAULT '{}'  -- every language its texts were ever analysed in
);

-- What filters and facets read comes first: PostgreSQL walks a row from its start.
CREATE TABLE document (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace integer NOT NULL,
    version integer NOT NULL DEFAULT 0,     -- of the catalog's entry; 0 where none was heard of
    revision integer NOT NULL DEFAULT 0,    -- the newest content revision that was heard of
    deleted boolean NOT NULL DEFAULT false,
    created_at timestamptz,
    media_type text COLLATE "C", language text COLLATE "C", folder text COLLATE "C", tags text[] NOT NULL DEFAULT '{}',
    id text NOT NULL UNIQUE,
    title text, filename text, metadata jsonb NOT NULL DEFAULT '{}', size bigint,
    text_at timestamptz,                    -- time of the event whose text is indexed; none: no keyword leg
    page_count integer, chunks integer,
    enriched_at timestamptz, summary text, keywords text[] NOT NULL DEFAULT '{}',
    suggested_tags text[] NOT NULL DEFAULT '{}',
    spaces jsonb NOT NULL DEFAULT '{}'      -- embedding space to time of the event whose vectors are indexed
) WITH (fillfactor = 80);
CREATE INDEX document_newest ON document (workspace, created_at DESC, no DESC) WHERE NOT deleted AND version > 0;
CREATE INDEX document_folder ON document (workspace, folder text_pattern_ops);
CREATE INDEX document_tags ON document USING gin (tags);

-- One row for a passage, and one with index -1 for the title, file name and tags. `impacts` holds BM25's term weights
-- without the document frequency; `lexemes` the same terms with their positions, for matching. Text and lexemes lie out
-- of line, so that ranking reads narrow rows.
CREATE TABLE chunk (
    document bigint NOT NULL,
    index integer NOT NULL,
    page integer, start integer NOT NULL, "end" integer NOT NULL,
    impacts sparsevec NOT NULL,
    lexemes tsvector NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (document, index)
) WITH (toast_tuple_target = 256);
ALTER TABLE chunk ALTER impacts SET STORAGE PLAIN, ALTER lexemes SET STORAGE EXTERNAL;
CREATE INDEX chunk_lexemes ON chunk USING gin (lexemes) WITH (fastupdate = off);

-- The planner does not know that a sequential scan would fetch every row's lexemes from where they lie out of line.
CREATE FUNCTION matching(lookup tsquery, weights sparsevec)
    RETURNS TABLE (document bigint, index integer, score double precision)
    LANGUAGE sql STABLE ROWS 2000 SET enable_seqscan = off
    AS $$ SELECT document, index, -(impacts <#> weights) FROM chunk WHERE lexemes @@ lookup $$;
CREATE FUNCTION containing(demand tsquery)
    RETURNS TABLE (document bigint)
    LANGUAGE sql STABLE ROWS 200 SET enable_seqscan = off
    AS $$ SELECT DISTINCT document FROM chunk WHERE lexemes @@ demand $$;

CREATE TABLE term (
    term text COLLATE "C" PRIMARY KEY,
    chunks integer NOT NULL                 -- chunks with text that contain it
) WITH (fillfactor = 70);

CREATE TABLE space (
    no smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    dimensions integer NOT NULL
);

CREATE TABLE embedding (
    document bigint NOT NULL,
    index integer NOT NULL,
    workspace integer NOT NULL,
    space smallint NOT NULL,
    vector halfvec NOT NULL,
    PRIMARY KEY (document, space, index)
);
ALTER TABLE embedding ALTER vector SET STORAGE PLAIN;
CREATE INDEX embedding_workspace ON embedding (workspace, space);
"""


def upgrade() -> None:
    """Create everything."""
    for statement in (TABLES + inbox.TABLE + outbox.TABLE).split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Not taken back: the index is derived."""
    raise RuntimeError("the first migration is not taken back: drop the schema and rebuild the index")
