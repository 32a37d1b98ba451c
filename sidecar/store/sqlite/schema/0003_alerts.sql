-- What the alerts' webhook heard of each trouble: a row while it is active, and until its end was posted.
CREATE TABLE alerts (
    code      TEXT NOT NULL,
    account   TEXT NOT NULL,            -- empty for a trouble of the whole service
    subject   TEXT NOT NULL,            -- empty where there is none
    raised_at INTEGER NOT NULL,         -- Unix milliseconds, as the next two
    ended_at  INTEGER,
    taken_at  INTEGER,                  -- when the webhook last took a message that it is there
    is_unsure INTEGER NOT NULL,         -- a message left since, and the webhook is not known to have taken it
    PRIMARY KEY (code, account, subject)
) WITHOUT ROWID;
