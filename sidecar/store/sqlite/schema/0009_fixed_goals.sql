-- Which goals waiting rows must keep, since they may have been sent for them: a few rows at a time ever do.

CREATE INDEX IF NOT EXISTS entries_fixed ON entries (lane, goal, time) WHERE state = 'pending' AND claimed = 0 AND goal IS NOT NULL;
