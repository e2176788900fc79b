-- Blocks of complete tiles can lie in an object store, encrypted, each with a key of its own. The row of the block stays
-- without its content, and what finds and opens the object is here. Backups of the database hold these keys.

CREATE TABLE archived_blocks (
  log          integer NOT NULL,
  -- Index of the first entry.
  first        bigint NOT NULL,
  -- Names the object.
  object       bytea NOT NULL UNIQUE CHECK (length(object) = 16),
  -- AES-256; deleted when something in the block is erased.
  key          bytea NOT NULL CHECK (length(key) = 32),
  -- SHA-256 of the object, and of the content in it.
  object_hash  bytea NOT NULL CHECK (length(object_hash) = 32),
  content_hash bytea NOT NULL CHECK (length(content_hash) = 32),
  -- Bytes of the object.
  length       integer NOT NULL CHECK (length > 0),
  PRIMARY KEY (log, first)
);
-- Old versions of rows, which hold keys that were destroyed, are removed at the next look of autovacuum.
ALTER TABLE archived_blocks SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);
CREATE TRIGGER immutable BEFORE UPDATE ON archived_blocks FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON archived_blocks FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Objects that are being written or that nothing refers to any more: they are deleted as soon as no lock forbids it.
CREATE TABLE archive_leftovers (
  object bytea PRIMARY KEY CHECK (length(object) = 16),
  since  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- How far each log is archived.
CREATE TABLE archive_logs (
  log       integer PRIMARY KEY,
  -- Entries that the public archive shows.
  published bigint NOT NULL DEFAULT 0,
  -- Below this index no block waits to be moved.
  moved     bigint NOT NULL DEFAULT 0
);

-- Rounds in the public archive whose anchors may still change, and the hash of what was written.
CREATE TABLE archive_open_rounds (
  number bigint PRIMARY KEY,
  hash   bytea NOT NULL
);

-- What the newest pass did; one row for each kind of archive.
CREATE TABLE archive_passes (
  archive    text PRIMARY KEY CHECK (archive IN ('public', 'private')),
  -- The newest round that it shows.
  round      bigint NOT NULL DEFAULT 0,
  -- Milliseconds; of the last pass without a problem.
  passed_at  bigint,
  code       text,
  problem    text,
  failing_since bigint
);

ALTER TABLE blocks ALTER COLUMN content DROP NOT NULL;

-- Three things change a block. Erasure: more of its entries are erased, and the content is written anew without them.
-- Archiving: the content goes once an object with the same content is on record. Recalling: it comes back as it was.
CREATE OR REPLACE FUNCTION guard_block() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.log, NEW.first, NEW.count, NEW.received_at, NEW.times, NEW.leaves)
        IS DISTINCT FROM (OLD.log, OLD.first, OLD.count, OLD.received_at, OLD.times, OLD.leaves) THEN
    RAISE EXCEPTION 'blocks of entries are immutable except for erasure' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.content IS NULL OR OLD.content IS NULL THEN
    IF NEW.content IS NOT DISTINCT FROM OLD.content OR NEW.erased <> OLD.erased OR NEW.bytes <> OLD.bytes
       OR NOT EXISTS (SELECT FROM archived_blocks a WHERE a.log = NEW.log AND a.first = NEW.first
                      AND a.content_hash = sha256(coalesce(NEW.content, OLD.content))) THEN
      RAISE EXCEPTION 'the content of a block goes to the archive and comes back only as it is' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF NOT OLD.erased <@ NEW.erased OR OLD.erased @> NEW.erased OR NEW.bytes > OLD.bytes
     OR EXISTS (SELECT FROM unnest(NEW.erased) AS e (at) WHERE at IS NULL OR at < 0 OR at >= NEW.count) THEN
    RAISE EXCEPTION 'blocks of entries are immutable except for erasure' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- The key of a block that lies in the archive alone is not deleted.
CREATE FUNCTION guard_archived_block() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM blocks WHERE log = OLD.log AND first = OLD.first AND content IS NULL) THEN
    RAISE EXCEPTION 'the key of an archived block is kept until its content is back' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN OLD;
END $$;
CREATE TRIGGER guard BEFORE DELETE ON archived_blocks FOR EACH ROW EXECUTE FUNCTION guard_archived_block();
