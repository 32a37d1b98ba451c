-- Erasures: what is to be forgotten, how far each has come, and what it removed.

CREATE TABLE erasures (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    subject      TEXT NOT NULL,              -- email, phone, visitor, order
    needle       TEXT,                       -- the hash, visitor_id or order_id; NULL as soon as it is not needed
    retract      INTEGER NOT NULL,
    phase        TEXT NOT NULL,              -- rows, waiting, journal, wiping, done
    after_seq    INTEGER NOT NULL DEFAULT 0, -- where the walk of this phase goes on
    last_seq     INTEGER NOT NULL,           -- where it ends: what comes later was not meant
    requested_at INTEGER NOT NULL,
    finished_at  INTEGER,
    conversions  INTEGER NOT NULL DEFAULT 0, -- what it removed
    skipped      INTEGER NOT NULL DEFAULT 0,
    retracted    INTEGER NOT NULL DEFAULT 0,
    clicks       INTEGER NOT NULL DEFAULT 0,
    log_entries  INTEGER NOT NULL DEFAULT 0
);

-- Which are not done? Few ever are.
CREATE INDEX erasures_open ON erasures (id) WHERE phase <> 'done';

-- Rows of an erasure: those that were blanked, until the journal was gone through, and those that still wait.
CREATE TABLE erasure_rows (
    erasure     INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    waits       INTEGER NOT NULL,            -- on its way, or may have been sent: it is blanked once it is settled
    must_settle INTEGER NOT NULL,            -- a retract: it goes out first, and is never ended unsent
    PRIMARY KEY (erasure, seq)
) WITHOUT ROWID;
