-- What ShadowDeployments leave for people: the report, and where their spec asks for it the words of a few pairs, encrypted.
-- All of it goes with the row of its ShadowDeployment.
CREATE TABLE shadow_report (
    uid    text        PRIMARY KEY REFERENCES shadow ON DELETE CASCADE,
    at     timestamptz NOT NULL DEFAULT now(),
    -- As it was written, byte for byte: its digest is over these.
    report text        NOT NULL
);

CREATE TABLE shadow_content (
    uid      text             NOT NULL REFERENCES shadow ON DELETE CASCADE,
    pair     text             NOT NULL,
    at       timestamptz      NOT NULL DEFAULT clock_timestamp(),
    -- What the answers differ in, and how alike they are by it: the least alike are kept.
    metric   text             NOT NULL,
    likeness double precision NOT NULL,
    -- The key in `audit_key`, of whoever asked: to erase it erases this.
    key      text             NOT NULL,
    sealed   bytea            NOT NULL,
    PRIMARY KEY (uid, pair)
);
-- Nothing that is encrypted can be compressed.
ALTER TABLE shadow_content ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX shadow_content_key ON shadow_content (key);
