-- Requests that carried a batch and did not settle it: the one that did is told of by the batch itself.

CREATE TABLE requests (
    batch_id    INTEGER NOT NULL,
    number      INTEGER NOT NULL,           -- the token of its claim; of several that were gathered, the first one's
    last        INTEGER NOT NULL,           -- the last one's
    times       INTEGER NOT NULL,           -- how many were gathered
    rows        INTEGER NOT NULL,           -- how many it carried
    sent_at     INTEGER NOT NULL,           -- of several, the first
    ended_at    INTEGER,                    -- when its answer was noted, of several the last; NULL where none was
    due_at      INTEGER,                    -- when the batch goes again at the earliest
    answer      TEXT NOT NULL,
    tracking_id TEXT,
    error       TEXT,
    error_code  INTEGER,
    message     TEXT,
    PRIMARY KEY (batch_id, number)
) WITHOUT ROWID;

ALTER TABLE batches ADD COLUMN parent INTEGER;  -- the batch that this one is a half of
