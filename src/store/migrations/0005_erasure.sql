-- Erasure finds the idempotency records that cover an entry: those of its log whose first index is at most a batch before
-- it. The primary key would have it read every record of the log.
CREATE INDEX idempotency_first_index ON idempotency (log, first_index);
