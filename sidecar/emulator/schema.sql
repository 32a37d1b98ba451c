-- What the emulator remembers. Instants are Unix milliseconds; `identity` is a digest of what makes two rows the same.

CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Sign-in -------------------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS codes (
    code TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    scope TEXT NOT NULL,
    nonce TEXT,
    challenge TEXT,
    expires_at INTEGER NOT NULL,
    redeemed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS refresh_tokens (
    token TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    used_at INTEGER NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS access_tokens (
    token TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The account ---------------------------------------------------------------------------------------------------------

-- An empty customer or account id means every one. `body` is the goal as JSON, with Microsoft's names, without its Id.
CREATE TABLE IF NOT EXISTS goals (
    id INTEGER PRIMARY KEY,
    customer_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL
);

-- The ad accounts; one that was taken away from the user is no longer visible.
CREATE TABLE IF NOT EXISTS accounts (
    account_id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL,
    name TEXT NOT NULL,
    number TEXT NOT NULL,
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    is_visible INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS properties (
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account_id, name)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS clicks (
    click_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    clicked_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Why the conversions of a click do not count, where the control says so.
CREATE TABLE IF NOT EXISTS click_reasons (click_id TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;

-- Hashed e-mails and phones that lead to a click.
CREATE TABLE IF NOT EXISTS click_matches (
    hash TEXT NOT NULL,
    click_id TEXT NOT NULL,
    PRIMARY KEY (hash, click_id)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS click_matches_by_click ON click_matches (click_id);

-- The ledger ----------------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS requests (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    operation TEXT NOT NULL,
    customer_id TEXT,
    account_id TEXT,
    rows INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    status INTEGER NOT NULL,
    answer TEXT NOT NULL,
    fault TEXT,
    tracking_id TEXT NOT NULL,
    body_sha256 TEXT NOT NULL
);

-- `raw` is the row exactly as it first arrived; `changed` counts repeats that were not identical to it byte by byte.
CREATE TABLE IF NOT EXISTS conversions (
    seq INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    wide_identity TEXT NOT NULL,
    account_id TEXT NOT NULL,
    goal_id INTEGER NOT NULL,
    raw TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    seen INTEGER NOT NULL DEFAULT 1,
    changed INTEGER NOT NULL DEFAULT 0,
    unattributed TEXT,
    adjusted TEXT,
    adjusted_value TEXT,
    adjusted_currency TEXT
);

CREATE TABLE IF NOT EXISTS adjustments (
    seq INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    original TEXT NOT NULL,
    account_id TEXT NOT NULL,
    goal_id INTEGER NOT NULL,
    raw TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    seen INTEGER NOT NULL DEFAULT 1,
    changed INTEGER NOT NULL DEFAULT 0,
    unattributed TEXT
);

-- Rows by upload hour, channel and outcome, for the by-goal report; an empty reason means attributed.
CREATE TABLE IF NOT EXISTS report_counts (
    goal_id INTEGER NOT NULL,
    account_id TEXT NOT NULL,
    hour INTEGER NOT NULL,
    channel TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (goal_id, account_id, hour, channel, reason)
) WITHOUT ROWID;

-- The form of earlier versions, by day; what it holds moves at each start.
CREATE TABLE IF NOT EXISTS verdicts (
    goal_id INTEGER NOT NULL,
    account_id TEXT NOT NULL,
    day INTEGER NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (goal_id, account_id, day, reason)
) WITHOUT ROWID;

INSERT OR IGNORE INTO report_counts
SELECT goal_id, account_id, day, 'CampaignManagementAPI', reason, count FROM verdicts;

DELETE FROM verdicts;
