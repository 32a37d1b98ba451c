-- A row that takes the place of another keeps its number, so a walk down the numbers to a time passes it by: such rows are
-- found by themselves.

ALTER TABLE entries ADD COLUMN replaced_at INTEGER;  -- when it last took the place of one that was dead or skipped

UPDATE entries SET replaced_at = received_at WHERE history IS NOT NULL AND instr(history, '"replaced_at"') > 0;

CREATE INDEX entries_replaced ON entries (seq) WHERE replaced_at IS NOT NULL;
