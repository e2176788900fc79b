-- The head of a log is the newest of rows that are added, no longer a row that every commit changes. Of a row that changes
-- a long snapshot (an audit, pg_dump) keeps each version, and PostgreSQL goes through all of them to find the newest one:
-- each commit was slower than the one before. Of rows that are added the newest is the last in their index. The commit
-- that completes a tile removes the heads before its own in that tile.

CREATE TABLE log_heads (
  log              integer NOT NULL,
  -- Entries in the log; one without a head has none.
  size             bigint NOT NULL CHECK (size > 0),
  root             bytea NOT NULL CHECK (length(root) = 32),
  last_leaf        bytea NOT NULL CHECK (length(last_leaf) = 32),
  last_received_at bigint NOT NULL,
  PRIMARY KEY (log, size)
);
INSERT INTO log_heads SELECT id, size, root, last_leaf, last_received_at FROM logs WHERE size > 0;

ALTER TABLE logs DROP COLUMN size, DROP COLUMN root, DROP COLUMN last_leaf, DROP COLUMN last_received_at;
CREATE OR REPLACE FUNCTION guard_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR (NEW.id, NEW.name, NEW.origin, NEW.log_id, NEW.blinded, NEW.created_at)
        IS DISTINCT FROM (OLD.id, OLD.name, OLD.origin, OLD.log_id, OLD.blinded, OLD.created_at) THEN
    RAISE EXCEPTION 'a log is never renamed or deleted' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION guard_new_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM (SELECT size, last_received_at FROM log_heads WHERE log = NEW.log ORDER BY size DESC LIMIT 1) AS newest
    WHERE newest.size >= NEW.size OR newest.last_received_at > NEW.last_received_at) THEN
    RAISE EXCEPTION 'a log only grows, and its times never decrease' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON log_heads FOR EACH ROW EXECUTE FUNCTION guard_new_head();

CREATE FUNCTION guard_former_heads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM (SELECT log, max(size) AS size FROM gone GROUP BY log) AS g
    WHERE NOT EXISTS (SELECT FROM log_heads h WHERE h.log = g.log AND h.size > g.size)) THEN
    RAISE EXCEPTION 'a log is never shortened' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER guard_former AFTER DELETE ON log_heads REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION guard_former_heads();
CREATE TRIGGER immutable BEFORE UPDATE ON log_heads FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON log_heads FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The logs with their heads.
CREATE VIEW log_states AS
  SELECT l.*, coalesce(h.size, 0) AS size, coalesce(h.root, sha256('')) AS root,
         coalesce(h.last_leaf, l.log_id) AS last_leaf, coalesce(h.last_received_at, 0) AS last_received_at
  FROM logs l LEFT JOIN LATERAL
    (SELECT size, root, last_leaf, last_received_at FROM log_heads WHERE log = l.id ORDER BY size DESC LIMIT 1) AS h ON true;
