-- Who asked what of which model, what was decided, and how it ended. Rows are linked to chains by their hashes: see
-- src/audit/mod.rs.
CREATE TABLE audit (
    chain   text        NOT NULL,
    seq     bigint      NOT NULL CHECK (seq > 0),
    hash    bytea       NOT NULL CHECK (length(hash) = 32),
    at      timestamptz NOT NULL,
    kind    text        NOT NULL CHECK (kind IN ('opened', 'closed', 'refused')),
    request text        NOT NULL,
    -- The caller, as Kubernetes names it.
    subject text        NOT NULL,
    -- json, not jsonb: it keeps the very bytes that were hashed.
    event   json        NOT NULL,
    PRIMARY KEY (chain, seq)
);
CREATE INDEX audit_request ON audit (request, subject);
CREATE INDEX audit_answer ON audit ((event ->> 'answer'), subject) WHERE kind = 'closed';
CREATE INDEX audit_at ON audit (at);

-- Merkle roots over the heads of all chains that grew since the root before, linked to each other.
CREATE TABLE audit_root (
    id        bigint      PRIMARY KEY CHECK (id > 0),
    at        timestamptz NOT NULL,
    previous  bytea       NOT NULL CHECK (length(previous) = 32),
    merkle    bytea       NOT NULL CHECK (length(merkle) = 32),
    hash      bytea       NOT NULL CHECK (length(hash) = 32),
    signature bytea       CHECK (length(signature) = 64)
);

-- The leaves of each root.
CREATE TABLE audit_head (
    root  bigint NOT NULL REFERENCES audit_root (id),
    chain text   NOT NULL,
    seq   bigint NOT NULL,
    hash  bytea  NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (chain, seq)
);
CREATE INDEX audit_head_root ON audit_head (root);

-- Against accidents. Against who owns the tables there are the hashes.
CREATE FUNCTION atelier_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION atelier_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_root
    FOR EACH STATEMENT EXECUTE FUNCTION atelier_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION atelier_append_only();
