-- Which events a log holds already, so that one that is sent again is not logged again. A ring of slots, one for each day:
-- what is past its time goes by TRUNCATE of a slot that nobody looks into any more, not by DELETE of every row.
CREATE TABLE logged_events (
  -- Days since the Unix epoch, by the database's clock, modulo 10.
  slot  smallint NOT NULL,
  log   integer NOT NULL,
  -- The first 16 bytes of a hash of what identifies the event.
  id    bytea NOT NULL CHECK (length(id) = 16),
  -- The entry that it is.
  index bigint NOT NULL,
  PRIMARY KEY (log, id, slot)
) PARTITION BY LIST (slot);

DO $$
BEGIN
  FOR slot IN 0..9 LOOP
    EXECUTE format('CREATE TABLE logged_events_%s PARTITION OF logged_events FOR VALUES IN (%s)', slot, slot);
  END LOOP;
END $$;

-- Erasure looks for the rows of an entry. Rows come in the order of their indices, so a summary of each few pages leads
-- there and costs an append next to nothing.
CREATE INDEX logged_events_entry ON logged_events USING brin (log, index)
  WITH (pages_per_range = 16, autosummarize = on);
