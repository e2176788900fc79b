-- The leaf hashes of a complete tile can lie in the public archive alone. Its root stays, which what is read there has to
-- have, and its last leaf hash, which the entry behind names.
ALTER TABLE tiles ALTER COLUMN hashes DROP NOT NULL;
ALTER TABLE tiles ADD COLUMN last_leaf bytea;
-- Not checked for older rows, which have hashes: looking at each of them takes long.
ALTER TABLE tiles ADD CONSTRAINT tiles_archived CHECK (
  CASE WHEN hashes IS NOT NULL THEN last_leaf IS NULL
       ELSE level = 0 AND last_leaf IS NOT NULL AND length(last_leaf) = 32 END) NOT VALID;

-- Below this index no tile waits to leave the database.
ALTER TABLE archive_logs ADD COLUMN tiles bigint NOT NULL DEFAULT 0;

-- One thing changes a tile: its leaf hashes go once the public archive has it, and they do not come back.
CREATE FUNCTION guard_tile() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR (NEW.log, NEW.level, NEW.index, NEW.root) IS DISTINCT FROM (OLD.log, OLD.level, OLD.index, OLD.root)
     OR OLD.hashes IS NULL OR NEW.hashes IS NOT NULL OR NEW.level <> 0
     OR NEW.last_leaf IS DISTINCT FROM substring(OLD.hashes FROM 8161)
     OR NOT EXISTS (SELECT FROM archive_logs a WHERE a.log = NEW.log AND a.published >= 256 * (NEW.index + 1)) THEN
    RAISE EXCEPTION 'tiles are immutable, except that leaf hashes go once the archive has them' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
DROP TRIGGER immutable ON tiles;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON tiles FOR EACH ROW EXECUTE FUNCTION guard_tile();
