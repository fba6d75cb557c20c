-- Documents that only some may see: see src/rooms/mod.rs. A Room is found by its uid, and everything in it by its number.
--
-- Rows are guarded by settings that hold for one transaction: atelier.uid, atelier.room, atelier.clearance, and
-- atelier.write. Without them there are no rows, not even for the owner of the tables. They guard against mistakes of
-- ours, not against SQL that somebody else writes: none of that is ever run here.

CREATE TABLE room (
    id             integer     PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    uid            text        NOT NULL UNIQUE,
    namespace      text        NOT NULL,
    name           text        NOT NULL,
    -- One that is being purged lets nobody in.
    is_open        boolean     NOT NULL DEFAULT true,
    -- Number of the generation that answers, and the last number that was given out.
    live           bigint,
    generations    bigint      NOT NULL DEFAULT 0,
    -- Of the last writer.
    fence          bigint      NOT NULL DEFAULT 0,
    -- Grows with each deletion and each change of rights. Of some deletions up to `forgotten` nothing is known any more.
    revision       bigint      NOT NULL DEFAULT 0,
    forgotten      bigint      NOT NULL DEFAULT 0,
    -- When rights were read from the source that is longest ago; NULL if there is one of which they never were.
    rights_read_at timestamptz,
    made           timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE room_source (
    room           integer     NOT NULL REFERENCES room (id),
    source         text        NOT NULL,
    rights_read_at timestamptz,
    -- The revision at which it was removed.
    removed        bigint,
    PRIMARY KEY (room, source)
);

-- A generation that is building is nobody's business but its writer's. One that has failed or expired is being deleted.
CREATE TABLE room_generation (
    room         integer     NOT NULL REFERENCES room (id),
    number       bigint      NOT NULL,
    state        text        NOT NULL CHECK (state IN ('building', 'live', 'retired', 'failed', 'expired')),
    -- Of its writer. Whoever has an older one writes no more.
    fence        bigint      NOT NULL,
    -- The model that made the vectors, and how many components they have.
    model        text        NOT NULL,
    model_digest text        NOT NULL,
    dimension    integer     NOT NULL CHECK (dimension > 0),
    -- Everything else that decides what chunks are made of a document.
    settings     text        NOT NULL,
    -- What its writer has done, and had done when it was verified.
    steps        bigint      NOT NULL DEFAULT 0,
    verified     bigint,
    documents    bigint      NOT NULL DEFAULT 0,
    chunks       bigint      NOT NULL DEFAULT 0,
    made         timestamptz NOT NULL DEFAULT now(),
    touched      timestamptz NOT NULL DEFAULT now(),
    published    timestamptz,
    retired      timestamptz,
    PRIMARY KEY (room, number)
);
CREATE UNIQUE INDEX room_generation_live ON room_generation (room) WHERE state = 'live';
CREATE UNIQUE INDEX room_generation_building ON room_generation (room) WHERE state = 'building';

-- Who may see a document, and whether it is there: one row for all generations, so that a change takes effect in all of
-- them at once. What is in it is in room_content.
CREATE TABLE room_document (
    room           integer     NOT NULL REFERENCES room (id),
    -- Drawn at random: numbers that were counted would tell how many others there are.
    id             bigint      NOT NULL CHECK (id > 0),
    source         text        NOT NULL,
    name           text        NOT NULL,
    state          text        NOT NULL CHECK (state IN ('present', 'quarantined', 'deleted')),
    reason         text,
    clearance      smallint    NOT NULL CHECK (clearance BETWEEN 0 AND 100),
    -- user:NAME and group:NAME. NULL is everyone, and an empty one nobody.
    acl            text[],
    -- When the source said so. What it said before that counts no more.
    rights_read_at timestamptz NOT NULL,
    -- Removed by a curator: no writer brings it back.
    is_barred      boolean     NOT NULL DEFAULT false,
    -- SHA-256 of what a curator has released: no writer sets that aside again.
    released       bytea       CHECK (length(released) = 32),
    -- The revisions of the Room at which it changed last, and at which it was hidden before and then was not.
    revision       bigint      NOT NULL,
    shown          bigint      NOT NULL DEFAULT 0,
    changed        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (room, id),
    UNIQUE (room, source, name)
);
CREATE INDEX room_document_revision ON room_document (room, revision);

-- What a document is in a generation. Everything of a document that has a clearance has that of its document.
CREATE TABLE room_content (
    room       integer  NOT NULL,
    generation bigint   NOT NULL,
    document   bigint   NOT NULL,
    clearance  smallint NOT NULL,
    -- SHA-256 of its bytes.
    digest     bytea    NOT NULL CHECK (length(digest) = 32),
    title      text,
    -- Where it came from, for citations.
    origin     text,
    bytes      bigint   NOT NULL CHECK (bytes >= 0),
    pages      integer  CHECK (pages >= 0),
    -- As many as it shall have.
    chunks     integer  NOT NULL CHECK (chunks >= 0),
    -- Why it was set aside; it has no chunks then.
    reason     text     CHECK (reason IS NULL OR chunks = 0),
    PRIMARY KEY (room, generation, document),
    FOREIGN KEY (room, generation) REFERENCES room_generation (room, number),
    FOREIGN KEY (room, document) REFERENCES room_document (room, id)
);
CREATE INDEX room_content_document ON room_content (room, document);

-- Each Room has a partition of its own, room_chunk_ID, which is made with it and goes with it. There are no foreign keys:
-- to attach a partition would lock the tables that they refer to.
CREATE TABLE room_chunk (
    room       integer  NOT NULL,
    generation bigint   NOT NULL,
    -- The document's, and its place among those of its document, from 0: 53 bits, which JSON keeps.
    id         bigint   NOT NULL CHECK (id >> 20 = document),
    document   bigint   NOT NULL,
    clearance  smallint NOT NULL,
    -- Page, headings and area.
    place      jsonb    NOT NULL,
    text       text     NOT NULL,
    tokens     integer  NOT NULL CHECK (tokens >= 0),
    -- As rooms::index::Embedding writes them. One tells nearly all of the text.
    embedding  bytea    NOT NULL,
    PRIMARY KEY (room, generation, id)
) PARTITION BY LIST (room);
CREATE INDEX room_chunk_document ON room_chunk (room, document);
-- Noise does not compress.
ALTER TABLE room_chunk ALTER COLUMN embedding SET STORAGE EXTERNAL;

-- Pictures of scanned pages, for all generations that have the same bytes of the document.
CREATE TABLE room_page (
    room       integer  NOT NULL,
    document   bigint   NOT NULL,
    digest     bytea    NOT NULL CHECK (length(digest) = 32),
    page       integer  NOT NULL CHECK (page > 0),
    clearance  smallint NOT NULL,
    media_type text     NOT NULL,
    picture    bytea    NOT NULL CHECK (octet_length(picture) <= 4194304),
    PRIMARY KEY (room, document, digest, page),
    FOREIGN KEY (room, document) REFERENCES room_document (room, id)
);
ALTER TABLE room_page ALTER COLUMN picture SET STORAGE EXTERNAL;

-- What was contributed. It stays as long as its document, for other generations are made of it.
CREATE TABLE room_upload (
    room       integer     NOT NULL REFERENCES room (id),
    id         bigint      NOT NULL CHECK (id > 0),
    source     text        NOT NULL,
    -- The name of its document.
    name       text        NOT NULL,
    file       text        NOT NULL,
    media_type text        NOT NULL,
    author     text        NOT NULL,
    clearance  smallint    NOT NULL CHECK (clearance BETWEEN 0 AND 100),
    acl        text[],
    parts      integer     NOT NULL DEFAULT 0,
    bytes      bigint      NOT NULL DEFAULT 0,
    -- Once it is whole.
    digest     bytea       CHECK (length(digest) = 32),
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (room, id)
);
CREATE UNIQUE INDEX room_upload_name ON room_upload (room, source, name) WHERE digest IS NOT NULL;
CREATE TABLE room_upload_part (
    room      integer  NOT NULL,
    upload    bigint   NOT NULL,
    part      integer  NOT NULL CHECK (part >= 0),
    clearance smallint NOT NULL,
    content   bytea    NOT NULL,
    PRIMARY KEY (room, upload, part),
    FOREIGN KEY (room, upload) REFERENCES room_upload (room, id)
);
ALTER TABLE room_upload_part ALTER COLUMN content SET STORAGE EXTERNAL;

-- What answers were made of. (chain, seq) is the audit row that opened the answer. It has the highest clearance of all
-- that went into it.
CREATE TABLE room_answer (
    room       integer     NOT NULL REFERENCES room (id),
    chain      text        NOT NULL,
    seq        bigint      NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    author     text        NOT NULL,
    generation bigint      NOT NULL,
    clearance  smallint    NOT NULL CHECK (clearance BETWEEN 0 AND 100),
    chunks     bigint[]    NOT NULL,
    PRIMARY KEY (room, chain, seq)
);
CREATE INDEX room_answer_at ON room_answer (room, at);

-- Feedback on a Room's answers goes with the Room.
DROP TRIGGER append_only ON feedback;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON feedback
    FOR EACH STATEMENT EXECUTE FUNCTION atelier_append_and_expire();

-- Subqueries, for those are evaluated once for a query and not once for a row.
DO $$
DECLARE
    guarded text;
    seen    text;
    writes  text := '(SELECT current_setting(''atelier.write'', true)) = ''on''';
BEGIN
    FOREACH guarded IN ARRAY ARRAY['room', 'room_source', 'room_generation', 'room_document', 'room_content', 'room_chunk',
        'room_page', 'room_upload', 'room_upload_part', 'room_answer']
    LOOP
        seen := 'room = (SELECT nullif(current_setting(''atelier.room'', true), '''')::integer)';
        IF guarded = 'room' THEN
            seen := 'uid = (SELECT nullif(current_setting(''atelier.uid'', true), ''''))';
        ELSIF guarded NOT IN ('room_source', 'room_generation') THEN
            seen := seen || ' AND clearance <= (SELECT nullif(current_setting(''atelier.clearance'', true), '''')::integer)';
        END IF;
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', guarded);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', guarded);
        EXECUTE format('CREATE POLICY seen ON %I FOR SELECT USING (%s)', guarded, seen);
        EXECUTE format('CREATE POLICY added ON %I FOR INSERT WITH CHECK (%s AND %s)', guarded, seen, writes);
        EXECUTE format('CREATE POLICY changed ON %I FOR UPDATE USING (%s AND %s)', guarded, seen, writes);
        EXECUTE format('CREATE POLICY removed ON %I FOR DELETE USING (%s AND %s)', guarded, seen, writes);
        -- What an owner who is no superuser dumps: pg_dump --enable-row-security with this setting.
        EXECUTE format('CREATE POLICY dumped ON %I FOR SELECT
            USING ((SELECT current_setting(''atelier.backup'', true)) = ''on'')', guarded);
    END LOOP;
END
$$;
-- To find Rooms that are no more. There is nothing of a document in these rows.
CREATE POLICY listed ON room FOR SELECT USING ((SELECT current_setting('atelier.list', true)) = 'on');

-- Makes the role that transactions turn into, where that is allowed: superusers pass all policies, and an owner could
-- take them away. Its rights are to the tables above and never to a partition, where their policies would not apply.
-- Where it is not allowed, owners stay who they are, and the policies hold for them.
CREATE FUNCTION atelier_guard_rooms() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    guarded text;
BEGIN
    IF to_regrole('atelier_rooms') IS NULL THEN
        BEGIN
            CREATE ROLE atelier_rooms NOLOGIN;
        EXCEPTION
            -- Also where another database of this server was faster.
            WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    IF to_regrole('atelier_rooms') IS NULL THEN
        RETURN;
    END IF;
    IF NOT pg_has_role('atelier_rooms', 'MEMBER') THEN
        BEGIN
            EXECUTE format('GRANT atelier_rooms TO %I', current_user);
        EXCEPTION WHEN insufficient_privilege THEN RETURN;
        END;
    END IF;
    IF NOT has_schema_privilege('atelier_rooms', current_schema(), 'USAGE') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO atelier_rooms', current_schema());
    END IF;
    FOREACH guarded IN ARRAY ARRAY['room', 'room_source', 'room_generation', 'room_document', 'room_content', 'room_chunk',
        'room_page', 'room_upload', 'room_upload_part', 'room_answer']
    LOOP
        IF NOT has_table_privilege('atelier_rooms', guarded, 'SELECT') THEN
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO atelier_rooms', guarded);
        END IF;
    END LOOP;
END
$$;
SELECT atelier_guard_rooms();
