-- Clicks of visitors, and what a conversion keeps of the one that was chosen for it.

ALTER TABLE entries ADD COLUMN visitor_id TEXT;
ALTER TABLE entries ADD COLUMN visitor INTEGER;     -- 64-bit hash of account and visitor_id
-- Frozen by the claim: the click id it is sent with, empty for none; NULL while it is not frozen.
ALTER TABLE entries ADD COLUMN click TEXT;
ALTER TABLE entries ADD COLUMN clicked_at INTEGER;  -- when that click happened, in Unix seconds, where it is known

-- A click comes in: which conversions of its visitor were set aside without one? Few rows ever are.
CREATE INDEX entries_visitor ON entries (visitor, time) WHERE reason IN ('awaiting_click', 'no_click', 'outside_window');

CREATE TABLE clicks (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    visitor     INTEGER NOT NULL,       -- 64-bit hash of account and visitor_id
    visitor_id  TEXT NOT NULL,          -- makes sure of it
    msclkid     TEXT NOT NULL,
    clicked_at  INTEGER NOT NULL,       -- Unix seconds; the earliest that was told
    captured_at INTEGER NOT NULL
);

-- Capture: is this click of the visitor known? Claim: when did the click happen that a conversion names itself?
CREATE UNIQUE INDEX clicks_msclkid ON clicks (visitor, msclkid);
-- Claim: what was the visitor's last click before the conversion?
CREATE INDEX clicks_visitor ON clicks (visitor, clicked_at);
-- Pruning follows the order of capture; clicks that were told more than a day late are found by this.
CREATE INDEX clicks_late ON clicks (clicked_at) WHERE captured_at - clicked_at * 1000 > 86400000;
