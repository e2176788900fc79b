-- The commitments of a block in the private archive, as an object of their own. When all entries of the block are erased at
-- once, the key of its content is destroyed and nothing is fetched: from then on the block is read from here.
CREATE TABLE archived_commitments (
  log         integer NOT NULL,
  -- Index of the first entry.
  first       bigint NOT NULL,
  -- Names the object.
  object      bytea NOT NULL UNIQUE CHECK (length(object) = 16),
  -- AES-256.
  key         bytea NOT NULL CHECK (length(key) = 32),
  -- SHA-256 of the object.
  object_hash bytea NOT NULL CHECK (length(object_hash) = 32),
  -- Bytes of the object.
  length      integer NOT NULL CHECK (length > 0),
  PRIMARY KEY (log, first)
);
CREATE TRIGGER immutable BEFORE UPDATE ON archived_commitments FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON archived_commitments FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What the index of digests has of the first and the last entry that is not erased, 6 bytes each: where to look for the
-- digests of the block once its content is gone. NULL: archived by a release before this.
ALTER TABLE archived_blocks ADD COLUMN digest_ends bytea CHECK (length(digest_ends) = 12);

-- Four things change a block. Erasure: more of its entries are erased, and the content is written anew without them.
-- Archiving: the content goes once an object with the same content is on record. Recalling: it comes back as it was.
-- Erasure as a whole in the archive: the commitments are on record, and the key of the content goes next.
CREATE OR REPLACE FUNCTION guard_block() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.log, NEW.first, NEW.count, NEW.received_at, NEW.times, NEW.leaves)
        IS DISTINCT FROM (OLD.log, OLD.first, OLD.count, OLD.received_at, OLD.times, OLD.leaves) THEN
    RAISE EXCEPTION 'blocks of entries are immutable except for erasure' USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.content IS NULL AND OLD.content IS NULL THEN
    IF cardinality(OLD.erased) >= OLD.count OR NEW.bytes <> 0
       OR NEW.erased <> (SELECT array_agg(g::smallint ORDER BY g) FROM generate_series(0, OLD.count - 1) AS g)
       OR NOT EXISTS (SELECT FROM archived_commitments c WHERE c.log = NEW.log AND c.first = NEW.first) THEN
      RAISE EXCEPTION 'an archived block is erased only as a whole' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
  END IF;
  IF NEW.content IS NULL OR OLD.content IS NULL THEN
    IF NEW.erased <> OLD.erased OR NEW.bytes <> OLD.bytes
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

-- The key of a block that lies in the archive alone is deleted once the block is erased as a whole.
CREATE OR REPLACE FUNCTION guard_archived_block() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM blocks b WHERE b.log = OLD.log AND b.first = OLD.first AND content IS NULL
             AND (cardinality(b.erased) < b.count
                  OR NOT EXISTS (SELECT FROM archived_commitments c WHERE c.log = b.log AND c.first = b.first))) THEN
    RAISE EXCEPTION 'the key of an archived block is kept until its content is back' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN OLD;
END $$;

CREATE FUNCTION guard_archived_commitments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM blocks WHERE log = OLD.log AND first = OLD.first AND content IS NULL)
     AND NOT EXISTS (SELECT FROM archived_blocks WHERE log = OLD.log AND first = OLD.first) THEN
    RAISE EXCEPTION 'the commitments of an erased block are kept' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN OLD;
END $$;
CREATE TRIGGER guard BEFORE DELETE ON archived_commitments FOR EACH ROW EXECUTE FUNCTION guard_archived_commitments();
