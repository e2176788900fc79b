-- Until when the store refuses to delete an object, so that erasing can say it; milliseconds, NULL: no lock.
ALTER TABLE archived_blocks ADD COLUMN locked_until bigint;
-- Of which block a leftover is.
ALTER TABLE archive_leftovers ADD COLUMN log integer, ADD COLUMN first bigint, ADD COLUMN locked_until bigint;
CREATE INDEX archive_leftovers_block ON archive_leftovers (log, first) WHERE locked_until IS NOT NULL;
