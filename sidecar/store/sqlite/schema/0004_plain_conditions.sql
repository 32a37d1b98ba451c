-- The conditions of two indexes without IN: for a list of three SQLite builds a table of its own, for each row that it
-- writes and twice for each that it changes, and clears its pages. That was a tenth of a row's way out.
DROP INDEX entries_ended;
DROP INDEX entries_visitor;

-- Lists of what went wrong.
CREATE INDEX entries_ended ON entries (state, seq) WHERE state = 'dead' OR state = 'skipped' OR state = 'canceled';
-- A click comes in: which conversions of its visitor were set aside without one? Few rows ever are.
CREATE INDEX entries_visitor ON entries (visitor, time)
    WHERE reason = 'awaiting_click' OR reason = 'no_click' OR reason = 'outside_window';
