-- What callers say about answers they got. (chain, seq) is the audit row that opened the answer. A changed mind is a
-- new revision.
CREATE TABLE feedback (
    chain     text        NOT NULL,
    seq       bigint      NOT NULL,
    kind      text        NOT NULL CHECK (kind IN ('thumbs', 'rating', 'error_report', 'correction')),
    revision  integer     NOT NULL CHECK (revision > 0),
    at        timestamptz NOT NULL DEFAULT now(),
    author    text        NOT NULL,
    request   text        NOT NULL,
    namespace text        NOT NULL,
    model     text        NOT NULL,
    adapter   text,
    version   text,
    value     text        NOT NULL,
    comment   text,
    PRIMARY KEY (chain, seq, kind, revision)
);
CREATE INDEX feedback_model ON feedback (namespace, model, at);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON feedback
    FOR EACH STATEMENT EXECUTE FUNCTION atelier_append_only();
