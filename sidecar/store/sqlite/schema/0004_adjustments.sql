-- Adjustments: rows of their own kind of lane. Of a conversion all three columns are NULL.

ALTER TABLE entries ADD COLUMN type TEXT;           -- restate, retract
-- The seq of the conversion that is adjusted; a negative hash of the identity of one that was uploaded elsewhere.
ALTER TABLE entries ADD COLUMN original INTEGER;
ALTER TABLE entries ADD COLUMN adjusted_at INTEGER; -- Unix seconds; frozen once it is due

-- Intake of an adjustment: what became of those before it?
CREATE INDEX entries_original ON entries (original) WHERE original IS NOT NULL;
-- Settlement: does an adjustment wait for this conversion, or for any?
CREATE INDEX entries_awaiting ON entries (original) WHERE reason = 'awaiting_original';
