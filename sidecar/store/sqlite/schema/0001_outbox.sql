-- The outbox. Instants end in _at or _until and are Unix milliseconds; `time` and `sent_time` are Unix seconds.

CREATE TABLE facts (
    name  TEXT PRIMARY KEY,     -- 'environment'
    value TEXT NOT NULL
) WITHOUT ROWID;

-- What can be held up together: one account, event and kind.
CREATE TABLE lanes (
    id      INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    event   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    UNIQUE (account, event, kind)
);

CREATE TABLE entries (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    lane            INTEGER NOT NULL,
    state           TEXT NOT NULL,
    reason          TEXT,
    key_hash        INTEGER,                -- finds candidates of a key; NULL when nothing repeats the row
    key_digest      TEXT,                   -- makes sure of it
    content         TEXT NOT NULL,          -- digest of what the caller gave
    order_id        TEXT,
    time            INTEGER NOT NULL,
    time_given      INTEGER NOT NULL,
    value           TEXT,                   -- exact decimal
    currency        TEXT,
    msclkid         TEXT,
    email_sha256    TEXT,
    phone_sha256    TEXT,
    external_credit TEXT,
    external_model  TEXT,
    meta            TEXT,
    request_id      TEXT,
    received_at     INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    again           INTEGER NOT NULL DEFAULT 0,  -- Microsoft asked for it again: such rows fill a tenth of a batch
    claimed         INTEGER NOT NULL DEFAULT 0,  -- it is in the open batch `batch_id`
    attempt         INTEGER NOT NULL DEFAULT 0,
    retries         INTEGER NOT NULL DEFAULT 0,
    refusals        INTEGER NOT NULL DEFAULT 0,
    maybe_sent      INTEGER NOT NULL DEFAULT 0,
    goal            TEXT,                   -- from here on: frozen by the claim
    sent_time       INTEGER,
    identity        INTEGER,                -- 64-bit hash of account, goal and click id or hashes
    batch_id        INTEGER,                -- the last batch it was in
    settled_at      INTEGER,
    error           TEXT,
    error_code      INTEGER,
    message         TEXT,
    history         TEXT                    -- JSON array of earlier attempts that did not deliver it
);

-- Intake: is this key known?
CREATE INDEX entries_key ON entries (key_hash) WHERE key_hash IS NOT NULL;
-- Claim: what is due in this lane?
CREATE INDEX entries_due ON entries (lane, again, due_at, seq) WHERE state = 'pending' AND claimed = 0;
-- Age: what gets too old first?
CREATE INDEX entries_age ON entries (time) WHERE state = 'pending';
-- Settlement: what is in this batch?
CREATE INDEX entries_batch ON entries (batch_id) WHERE claimed = 1;
-- Claim: which seconds are used up by this person's conversions of this goal?
CREATE INDEX entries_identity ON entries (identity, sent_time) WHERE identity IS NOT NULL;
-- Lists of what went wrong.
CREATE INDEX entries_ended ON entries (state, seq) WHERE state IN ('dead', 'skipped', 'canceled');

CREATE TABLE batches (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    account     TEXT NOT NULL,
    root        INTEGER,                    -- the batch that this one was halved from, at the top
    rows        INTEGER NOT NULL,
    token       INTEGER NOT NULL,           -- number of its claim: fences the settlement
    leased      INTEGER NOT NULL,           -- a request may be on its way
    due_at      INTEGER NOT NULL,           -- when it may be claimed again; the lease's end while leased
    created_at  INTEGER NOT NULL,
    sent_at     INTEGER NOT NULL,           -- when the last claim was made: the request left after that
    settled_at  INTEGER,
    tracking_id TEXT,
    answer      TEXT,                       -- the last answer in a word: taken, refused, lost
    poisoned    INTEGER NOT NULL DEFAULT 0  -- rows of this root that were given up as poison
);

CREATE INDEX batches_open ON batches (account, due_at) WHERE settled_at IS NULL;

CREATE TABLE counts (
    state TEXT PRIMARY KEY,
    rows  INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO counts VALUES ('pending', 0), ('delivered', 0), ('skipped', 0), ('dead', 0), ('canceled', 0);

-- What happened: batches, troubles, refusals, sign-ins; never a line per row.
CREATE TABLE journal (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    time          INTEGER NOT NULL,         -- Unix milliseconds
    level         INTEGER NOT NULL,
    name          TEXT NOT NULL,
    message       TEXT NOT NULL,
    account       TEXT,
    conversion_id TEXT,
    order_id      TEXT,
    batch_id      INTEGER,
    tracking_id   TEXT,
    error         TEXT,
    fix           TEXT,
    count         INTEGER
);

-- Tokens and generated keys; values are sealed by the vault.
CREATE TABLE secrets (
    name       TEXT PRIMARY KEY,
    value      TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;
