-- What the last conversions of each goal could be matched by, over restarts: at most one row for each goal that is mapped.

CREATE TABLE match_shares (
    goal     TEXT PRIMARY KEY,
    received INTEGER NOT NULL,
    carrying INTEGER NOT NULL,
    msclkid  INTEGER NOT NULL,
    email    INTEGER NOT NULL,
    phone    INTEGER NOT NULL
) WITHOUT ROWID;
