-- What was asked and answered, encrypted, beside the rows; and rows that tell what became of it and of other rows: see
-- src/audit/content/ and src/audit/retention/.

-- Rows that are there already have passed a narrower check.
ALTER TABLE audit DROP CONSTRAINT audit_kind_check;
ALTER TABLE audit ADD CONSTRAINT audit_kind_check
    CHECK (kind IN ('opened', 'closed', 'refused', 'erased', 'shown', 'pruned')) NOT VALID;
CREATE INDEX audit_evidence ON audit (kind, subject, at) WHERE kind IN ('erased', 'pruned');

-- Data keys, each wrapped by a key-encryption key that is not in the database. One that was erased stays as an empty
-- row, so that no process can bring it back.
CREATE TABLE audit_key (
    id        text        PRIMARY KEY,
    namespace text        NOT NULL,
    subject   text        NOT NULL,
    -- The key-encryption key.
    kek       text        NOT NULL,
    wrapped   bytea,
    made      timestamptz NOT NULL
);
CREATE INDEX audit_key_subject ON audit_key (namespace, subject);
CREATE INDEX audit_key_kek ON audit_key (kek);

-- (chain, seq) is the audit row that has the SHA-256 sum of `sealed`. Contents leave before their rows do.
CREATE TABLE audit_content (
    chain  text        NOT NULL,
    seq    bigint      NOT NULL,
    at     timestamptz NOT NULL,
    key    text        NOT NULL,
    sealed bytea       NOT NULL,
    PRIMARY KEY (chain, seq)
);
-- Nothing that is encrypted can be compressed.
ALTER TABLE audit_content ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX audit_content_at ON audit_content (at);
CREATE INDEX audit_content_key ON audit_content (key);
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON audit_content
    FOR EACH STATEMENT EXECUTE FUNCTION atelier_append_only();

-- Rows that have expired may go, where it is said that this is what happens.
CREATE FUNCTION atelier_append_and_expire() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('atelier.retention', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
DROP TRIGGER append_only ON audit;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION atelier_append_and_expire();
