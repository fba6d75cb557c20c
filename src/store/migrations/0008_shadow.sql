-- Pairs of answers that ShadowDeployments collect: numbers alone, neither what was asked nor what was answered. All of it
-- goes with the row of its ShadowDeployment, without which nothing is added any more.
CREATE TABLE shadow (
    -- `metadata.uid`: another ShadowDeployment may have the name later.
    uid       text        PRIMARY KEY,
    namespace text        NOT NULL,
    name      text        NOT NULL,
    opened    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE shadow_pair (
    -- Grows in the order of commits within a ShadowDeployment: who has read up to one has missed none before it.
    seq     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid     text        NOT NULL REFERENCES shadow ON DELETE CASCADE,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- A hash of what the pair is kept together with.
    cluster text        NOT NULL,
    -- By the name of the metric.
    scores  jsonb       NOT NULL
);
CREATE INDEX shadow_pair_of ON shadow_pair (uid, seq);

-- What each process of the gateway has counted since it started, so that a row can be written again without counting twice.
CREATE TABLE shadow_count (
    uid      text        NOT NULL REFERENCES shadow ON DELETE CASCADE,
    replica  text        NOT NULL,
    -- Copies that were about to be sent, counted before they were.
    begun    bigint      NOT NULL DEFAULT 0 CHECK (begun >= 0),
    -- Those of them that gave a pair, counted together with it.
    paired   bigint      NOT NULL DEFAULT 0 CHECK (paired >= 0),
    -- Those of them that gave none, for a reason that is known.
    unpaired bigint      NOT NULL DEFAULT 0 CHECK (unpaired >= 0),
    tokens   bigint      NOT NULL DEFAULT 0 CHECK (tokens >= 0),
    -- Billionths of the currency's unit; none without a pricing.
    nanos    bigint      CHECK (nanos >= 0),
    -- When the process was heard of last, by the clock of the database.
    seen     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (uid, replica)
);

CREATE TABLE shadow_drop (
    uid     text   NOT NULL REFERENCES shadow ON DELETE CASCADE,
    replica text   NOT NULL,
    reason  text   NOT NULL,
    count   bigint NOT NULL CHECK (count >= 0),
    PRIMARY KEY (uid, replica, reason)
);
