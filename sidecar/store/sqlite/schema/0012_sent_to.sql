-- Which account at Microsoft a batch is for: its customer and account ids. NULL for batches from before; their account is
-- the one that is configured when it is next served.

ALTER TABLE batches ADD COLUMN sent_to TEXT;
CREATE INDEX batches_unknown ON batches (account) WHERE sent_to IS NULL;
