-- Microsoft's verdict by goal and day, as it was last read. Days are UTC days, by the Unix second at which they begin.
CREATE TABLE verdicts (
    account      TEXT NOT NULL,
    goal         TEXT NOT NULL,         -- its name, as rows are sent for it
    day          INTEGER NOT NULL,
    goal_id      TEXT NOT NULL,
    attributed   INTEGER NOT NULL,
    unattributed INTEGER NOT NULL,
    reasons      TEXT NOT NULL,         -- JSON object: unattributed rows by reason
    is_settled   INTEGER NOT NULL,      -- the last two readings were the same
    read_at      INTEGER NOT NULL,      -- Unix milliseconds
    PRIMARY KEY (account, goal, day)
) WITHOUT ROWID;

-- Lists and pruning: which days are the newest, and which are the oldest?
CREATE INDEX verdicts_day ON verdicts (day DESC, account, goal);

-- What was delivered to each goal, by the day of delivery: a line for each day, goal and kind, and none for a row.
CREATE TABLE sent_days (
    account TEXT NOT NULL,
    goal    TEXT NOT NULL,
    day     INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    rows    INTEGER NOT NULL,
    PRIMARY KEY (account, goal, day, kind)
) WITHOUT ROWID;

-- As above.
CREATE INDEX sent_days_day ON sent_days (day DESC, account, goal);

INSERT INTO sent_days
SELECT lanes.account, entries.goal, entries.settled_at / 86400000 * 86400, lanes.kind, count(*)
FROM entries JOIN lanes ON lanes.id = entries.lane
WHERE entries.state = 'delivered' AND entries.goal IS NOT NULL
GROUP BY 1, 2, 3, 4;
