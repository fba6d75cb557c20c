-- What was spent on models, for whom, in each calendar month (UTC). An account is whatever the gateway counts for: a user or
-- a group at a model.
CREATE TABLE spending (
    account  text        NOT NULL,
    currency text        NOT NULL,
    -- The first day of the month.
    month    date        NOT NULL,
    -- Billionths of the currency's unit.
    nanos    bigint      NOT NULL CHECK (nanos >= 0),
    PRIMARY KEY (account, currency, month)
);
