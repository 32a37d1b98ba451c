-- The secret under which visitors are hashed. An outbox that holds visitors already goes on without one: what it has is
-- found under their plain hash, and the id itself is compared wherever it counts.

INSERT OR IGNORE INTO facts
SELECT 'visitor_key', lower(hex(randomblob(16)))
WHERE NOT EXISTS (SELECT 1 FROM clicks) AND NOT EXISTS (SELECT 1 FROM entries WHERE visitor IS NOT NULL);
