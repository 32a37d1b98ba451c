-- Which seconds a person has of a goal, found by the minute or so and then the person: claims go by time, so that a batch
-- touches a few pages of the index, and not one of its own for each row. 64 seconds are in one such minute.

DROP INDEX entries_identity;
CREATE INDEX entries_identity ON entries (sent_time >> 6, identity, sent_time) WHERE identity IS NOT NULL;
