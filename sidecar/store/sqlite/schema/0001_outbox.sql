-- The outbox. Instants end in _at or _until and are Unix milliseconds; `time` and `sent_time` are Unix seconds.

CREATE TABLE facts (
    name  TEXT PRIMARY KEY,     -- 'environment', 'visitor_key', one of each pause and throttle
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The secret under which visitors are hashed.
INSERT INTO facts VALUES ('visitor_key', lower(hex(randomblob(16))));

-- How many transactions there were: a file that lacks the last ones is found out by it.
CREATE TABLE commits (
    number INTEGER NOT NULL
);

INSERT INTO commits VALUES (0);

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
    history         TEXT,                   -- JSON array of earlier attempts that did not deliver it
    visitor_id      TEXT,
    visitor         INTEGER,                -- 64-bit hash of account and visitor_id
    click           TEXT,                   -- frozen by the claim: the click id to send, empty for none; NULL until then
    clicked_at      INTEGER,                -- when that click happened, in Unix seconds, where it is known
    type            TEXT,                   -- restate, retract; of a conversion this and the next two are NULL
    original        INTEGER,                -- seq of the adjusted conversion; a negative hash of one uploaded elsewhere
    adjusted_at     INTEGER,                -- Unix seconds; frozen once it is due
    replaced_at     INTEGER                 -- when it last took the place of a row that was dead or skipped
);

-- Intake: is this key known?
CREATE INDEX entries_key ON entries (key_hash) WHERE key_hash IS NOT NULL;
-- Claim: what is due in this lane?
CREATE INDEX entries_due ON entries (lane, again, due_at, seq) WHERE state = 'pending' AND claimed = 0;
-- Age: what gets too old first?
CREATE INDEX entries_age ON entries (time) WHERE state = 'pending';
-- Settlement: what is in this batch?
CREATE INDEX entries_batch ON entries (batch_id) WHERE claimed = 1;
-- Claim: which seconds are used up by this person's conversions of this goal? Found by slots of 64 seconds first: claims go
-- by time, so that a batch touches a few pages of the index, and not one of its own for each row.
CREATE INDEX entries_identity ON entries (sent_time >> 6, identity, sent_time) WHERE identity IS NOT NULL;
-- Lists of what went wrong.
CREATE INDEX entries_ended ON entries (state, seq) WHERE state IN ('dead', 'skipped', 'canceled');
-- Lists by time: a replaced row keeps its number, so a walk down the numbers to a time misses it.
CREATE INDEX entries_replaced ON entries (seq) WHERE replaced_at IS NOT NULL;
-- Which goals must waiting rows keep, since they may have been sent for them? Few rows at a time.
CREATE INDEX entries_fixed ON entries (lane, goal, time) WHERE state = 'pending' AND claimed = 0 AND goal IS NOT NULL;
-- A click comes in: which conversions of its visitor were set aside without one? Few rows ever are.
CREATE INDEX entries_visitor ON entries (visitor, time) WHERE reason IN ('awaiting_click', 'no_click', 'outside_window');
-- Intake of an adjustment: what became of those before it?
CREATE INDEX entries_original ON entries (original) WHERE original IS NOT NULL;
-- Settlement: does an adjustment wait for this conversion, or for any?
CREATE INDEX entries_awaiting ON entries (original) WHERE reason = 'awaiting_original';

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
    poisoned    INTEGER NOT NULL DEFAULT 0, -- rows of this root that were given up as poison
    parent      INTEGER,                    -- the batch that this one is a half of
    sent_to     TEXT                        -- its account at Microsoft: customer and account id; NULL while unknown
);

-- Claim: which batch of this account goes again?
CREATE INDEX batches_open ON batches (account, due_at) WHERE settled_at IS NULL;
-- Start: for which account at Microsoft is this batch?
CREATE INDEX batches_unknown ON batches (account) WHERE sent_to IS NULL;

-- Requests that carried a batch and did not settle it; the row of the batch describes the one that did.
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

-- Clicks of visitors.
CREATE TABLE clicks (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    visitor     INTEGER NOT NULL,       -- 64-bit hash of account and visitor_id
    visitor_id  TEXT NOT NULL,          -- makes sure of it
    msclkid     TEXT NOT NULL,
    clicked_at  INTEGER NOT NULL,       -- Unix seconds; the earliest that was reported
    captured_at INTEGER NOT NULL
);

-- Capture: is this click of the visitor known? Claim: when did the click happen that a conversion names itself?
CREATE UNIQUE INDEX clicks_msclkid ON clicks (visitor, msclkid);
-- Claim: what was the visitor's last click before the conversion?
CREATE INDEX clicks_visitor ON clicks (visitor, clicked_at);
-- Pruning follows the order of capture; clicks that were reported more than a day late are found by this.
CREATE INDEX clicks_late ON clicks (clicked_at) WHERE captured_at - clicked_at * 1000 > 86400000;

-- The catalogue of goals, per account, as last read.
CREATE TABLE catalogues (
    account      TEXT PRIMARY KEY,
    identity     TEXT NOT NULL,             -- which account it is at Microsoft
    read_at      INTEGER NOT NULL,
    auto_tagging INTEGER                    -- NULL where it is unknown
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

-- Rows of an erasure: those that were redacted, until the journal was gone through, and those that still wait.
CREATE TABLE erasure_rows (
    erasure     INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    waits       INTEGER NOT NULL,            -- on its way, or may have been sent: it is redacted once it is settled
    must_settle INTEGER NOT NULL,            -- a retract: it goes out first, and is never ended unsent
    PRIMARY KEY (erasure, seq)
) WITHOUT ROWID;

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

-- Was the same item refused before?
CREATE UNIQUE INDEX unstored_item ON unstored (item);
-- What became of this order?
CREATE INDEX unstored_order ON unstored (order_hash, seq);

-- What the last conversions of each goal could be matched by: at most one row for each goal that is mapped.
CREATE TABLE match_shares (
    goal     TEXT PRIMARY KEY,
    received INTEGER NOT NULL,
    carrying INTEGER NOT NULL,
    msclkid  INTEGER NOT NULL,
    email    INTEGER NOT NULL,
    phone    INTEGER NOT NULL
) WITHOUT ROWID;
