-- Rows by the hour of their receipt, lane, state and currency, for figures over time: written in the transactions that
-- move rows. Each write adds a difference, so that a period's sum is right whichever of its lines a difference is in.
CREATE TABLE tallies (
    at       INTEGER NOT NULL,      -- Unix seconds at which the hour begins, or the day once it is old; 0 for all time
    lane     INTEGER NOT NULL,
    state    TEXT NOT NULL,
    currency TEXT NOT NULL,         -- empty where the rows have none
    rows     INTEGER NOT NULL,
    value    INTEGER NOT NULL,      -- the sum of their values in thousandths
    slowest  INTEGER NOT NULL,      -- milliseconds from receipt to delivery, of the one that took longest; else 0
    PRIMARY KEY (at, lane, state, currency)
) WITHOUT ROWID;

INSERT INTO tallies
SELECT received_at / 3600000 * 3600, lane, state, coalesce(currency, ''), count(*),
    CAST(total(round(value * 1000)) AS INTEGER), max(iif(state = 'delivered', settled_at - received_at, 0))
FROM entries GROUP BY 1, 2, 3, 4;

-- Over all time.
INSERT INTO tallies
SELECT 0, lane, state, currency, sum(rows), CAST(total(value) AS INTEGER), max(slowest) FROM tallies GROUP BY 2, 3, 4;

ALTER TABLE match_shares ADD COLUMN visitor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE match_shares ADD COLUMN none INTEGER NOT NULL DEFAULT 0;
