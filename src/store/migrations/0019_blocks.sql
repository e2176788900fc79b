-- Entries lie in blocks: up to 256 entries of one log that follow one another and belong to one tile. A commit adds the
-- blocks it fills; the commit that completes a tile puts the small blocks of that tile together. What can be computed is
-- not stored: digest and commitment follow from the payload, and the leaf hashes of a complete tile stand in the tile.

CREATE TABLE blocks (
  log         integer NOT NULL,
  -- Index of the first entry.
  first       bigint NOT NULL CHECK (first >= 0),
  count       integer NOT NULL CHECK (count > 0 AND first / 256 = (first + count - 1) / 256),
  -- Of the first entry.
  received_at bigint NOT NULL,
  -- 8 bytes for each entry; NULL: all were received with the first.
  times       bytea CHECK (length(times) = 8 * count),
  -- Leaf hashes; NULL in a block that was written when its tile was complete.
  leaves      bytea CHECK (length(leaves) = 32 * count),
  -- Positions in the block, ascending, of entries that were erased.
  erased      smallint[] NOT NULL DEFAULT '{}',
  -- Of all payloads together.
  bytes       integer NOT NULL CHECK (bytes >= 0),
  -- Payloads, nonces, digests of entries without payload, commitments of erased ones: see docs/formats.md.
  content     bytea NOT NULL,
  PRIMARY KEY (log, first)
);
-- Compressed already where that helps.
ALTER TABLE blocks ALTER COLUMN content SET STORAGE EXTERNAL, ALTER COLUMN leaves SET STORAGE EXTERNAL;

-- Old versions of blocks, which hold what was erased, are removed at the next look of autovacuum: once a minute.
ALTER TABLE blocks SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
  toast.autovacuum_vacuum_threshold = 0, toast.autovacuum_vacuum_scale_factor = 0);

-- When an entry was received.
CREATE FUNCTION time_in_block(block blocks, index bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN block.times IS NULL THEN block.received_at
              ELSE ('x' || encode(substring(block.times FROM (8 * (index - block.first) + 1)::int FOR 8), 'hex'))::bit(64)::bigint END
$$;

-- Erasure, and it alone, changes a block: more of its entries are erased, and the content is written anew without them.
CREATE FUNCTION guard_block() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.log, NEW.first, NEW.count, NEW.received_at, NEW.times, NEW.leaves)
        IS DISTINCT FROM (OLD.log, OLD.first, OLD.count, OLD.received_at, OLD.times, OLD.leaves)
     OR NOT OLD.erased <@ NEW.erased OR OLD.erased @> NEW.erased OR NEW.bytes > OLD.bytes
     OR EXISTS (SELECT FROM unnest(NEW.erased) AS e (at) WHERE at IS NULL OR at < 0 OR at >= NEW.count) THEN
    RAISE EXCEPTION 'blocks of entries are immutable except for erasure' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON blocks FOR EACH ROW EXECUTE FUNCTION guard_block();

-- A block goes only in a transaction that leaves another one which covers it: same times, nothing unerased.
CREATE FUNCTION demand_cover() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM blocks b
    WHERE b.log = OLD.log AND b.first <= OLD.first AND b.first > OLD.first - 256 AND b.first + b.count >= OLD.first + OLD.count
      AND (SELECT bool_and(time_in_block(b, i) = time_in_block(OLD, i)) FROM generate_series(OLD.first, OLD.first + OLD.count - 1) AS i)
      AND ARRAY(SELECT e + (OLD.first - b.first)::int FROM unnest(OLD.erased) AS e)::smallint[] <@ b.erased) THEN
    RAISE EXCEPTION 'a block of entries is only replaced by one that covers it' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER covered AFTER DELETE ON blocks DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION demand_cover();
CREATE TRIGGER kept BEFORE TRUNCATE ON blocks FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Where a digest was logged. A prefix of a digest is a hint only: the entry itself tells. What was appended lately stands
-- here as it came, a row for each commit…
CREATE TABLE digest_batches (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  log      integer NOT NULL,
  -- Index of the first entry.
  first    bigint NOT NULL,
  -- The first 6 bytes of each digest; zeros where it was erased.
  prefixes bytea NOT NULL
);
-- …and is put into runs later: 256 rows each, one for each first byte of a digest.
CREATE TABLE digest_runs (
  bucket  smallint NOT NULL CHECK (bucket BETWEEN 0 AND 255),
  -- The id of the last batch in it.
  run     bigint NOT NULL,
  -- 16 bytes each: bytes 2 to 6 of the digest, log 4, index 7.
  records bytea NOT NULL,
  PRIMARY KEY (bucket, run)
);
ALTER TABLE digest_runs ALTER COLUMN records SET STORAGE MAIN;

-- Entries of before. A process of an older release finds its table gone and is refused. Where there are none, nothing of
-- it is needed any more; else the service moves them into blocks when it starts.
DO $$
BEGIN
  LOCK TABLE entries IN ACCESS EXCLUSIVE MODE;
  IF EXISTS (SELECT FROM entries) THEN
    ALTER TABLE entries RENAME TO unmoved_entries;
    ALTER TABLE stretches RENAME TO unmoved_stretches;
  ELSE
    DROP TABLE entries, stretches, segments;
  END IF;
END $$;
DROP FUNCTION open_segment(integer);
