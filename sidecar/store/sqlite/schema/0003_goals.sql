-- The catalogue of goals, per account, as last read.

CREATE TABLE catalogues (
    account      TEXT PRIMARY KEY,
    identity     TEXT NOT NULL,             -- which account it is at Microsoft
    read_at      INTEGER NOT NULL,
    auto_tagging INTEGER                    -- NULL where nobody said
) WITHOUT ROWID;

CREATE TABLE goals (
    account               TEXT NOT NULL,
    id                    TEXT NOT NULL,
    listed                INTEGER NOT NULL, -- in the last reading; else only remembered
    name                  TEXT NOT NULL,
    type                  TEXT NOT NULL,
    status                TEXT NOT NULL,
    count_type            TEXT,
    window_seconds        INTEGER,
    category              TEXT,
    revenue_type          TEXT,
    revenue_value         TEXT,             -- exact decimal
    revenue_currency      TEXT,
    enhanced              INTEGER,
    externally_attributed INTEGER,
    first_seen_at         INTEGER,
    is_new                INTEGER NOT NULL, -- not there when the account was first read
    PRIMARY KEY (account, id)
) WITHOUT ROWID;
