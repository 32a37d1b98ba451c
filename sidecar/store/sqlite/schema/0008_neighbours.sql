-- Keys that count up are found near to each other from here on, so that new rows change few pages of their index. Rows that
-- are there stay under the older hash of their key, which is looked up too as long as there are any.

INSERT INTO facts SELECT 'older_keys', last
FROM (SELECT max(seq) AS last FROM sqlite_sequence WHERE name = 'entries') WHERE last > 0;
