-- Traces of items that were not stored, found by the order: nothing here identifies a person.

CREATE TABLE unstored (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    item       TEXT NOT NULL,               -- digest of everything that makes another one the same
    order_hash TEXT NOT NULL,               -- digest of the order id
    kind       TEXT NOT NULL,               -- conversion, adjustment
    what       TEXT NOT NULL,               -- skipped, refused, conflict
    codes      TEXT NOT NULL,               -- JSON array
    event      TEXT,
    account    TEXT,
    request_id TEXT,                        -- the last one's
    time       INTEGER NOT NULL,            -- the last time
    first_at   INTEGER NOT NULL,
    times      INTEGER NOT NULL
);

-- Was the same said of it before?
CREATE UNIQUE INDEX unstored_item ON unstored (item);
-- What came of this order?
CREATE INDEX unstored_order ON unstored (order_hash, seq);
