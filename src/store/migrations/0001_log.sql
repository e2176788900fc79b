-- The logs, their entries, tiles and checkpoints. Everything a checkpoint was signed over is insert-only: triggers refuse
-- what would change it, and an audit finds what an administrator changes behind them.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are immutable', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TABLE logs (
  id               integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name             text NOT NULL UNIQUE,
  origin           text NOT NULL UNIQUE,
  log_id           bytea NOT NULL UNIQUE CHECK (length(log_id) = 32),
  blinded          boolean NOT NULL,
  created_at       bigint NOT NULL,
  -- The head. Only an append changes it, under this row's lock.
  size             bigint NOT NULL CHECK (size >= 0),
  root             bytea NOT NULL CHECK (length(root) = 32),
  last_leaf        bytea NOT NULL CHECK (length(last_leaf) = 32),
  last_received_at bigint NOT NULL
);

CREATE FUNCTION guard_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR (NEW.id, NEW.name, NEW.origin, NEW.log_id, NEW.blinded, NEW.created_at)
        IS DISTINCT FROM (OLD.id, OLD.name, OLD.origin, OLD.log_id, OLD.blinded, OLD.created_at)
     OR NEW.size < OLD.size OR NEW.last_received_at < OLD.last_received_at
     OR (NEW.size = OLD.size AND (NEW.root, NEW.last_leaf, NEW.last_received_at)
         IS DISTINCT FROM (OLD.root, OLD.last_leaf, OLD.last_received_at)) THEN
    RAISE EXCEPTION 'a log is never renamed, shortened, rewritten or deleted' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON logs FOR EACH ROW EXECUTE FUNCTION guard_log();
CREATE TRIGGER kept BEFORE TRUNCATE ON logs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The Ed25519 public keys of a log; the private ones are derived from the seed, which no database holds.
CREATE TABLE log_keys (
  log        integer NOT NULL REFERENCES logs,
  number     integer NOT NULL CHECK (number > 0),
  public_key bytea NOT NULL CHECK (length(public_key) = 32),
  created_at bigint NOT NULL,
  revoked_at bigint,
  PRIMARY KEY (log, number)
);

-- Entries are partitioned into segments of about a million index places, because one index on random digests cuts the
-- insert rate to an eighth at ten million rows. A log takes places in stretches that double from 64 to 65,536, so that
-- ten thousand small logs share a segment and a large log fills whole ones.
CREATE TABLE segments (
  id       integer PRIMARY KEY,
  reserved bigint NOT NULL DEFAULT 0
);

CREATE TABLE stretches (
  log         integer NOT NULL REFERENCES logs,
  first_index bigint NOT NULL,
  segment     integer NOT NULL REFERENCES segments,
  PRIMARY KEY (log, first_index)
);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON stretches FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON stretches FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE entries (
  segment     integer NOT NULL,
  log         integer NOT NULL,
  index       bigint NOT NULL,
  received_at bigint NOT NULL,
  -- NULL once erased.
  digest      bytea,
  -- NULL once erased; empty in an unblinded log.
  nonce       bytea,
  commitment  bytea NOT NULL,
  leaf_hash   bytea NOT NULL,
  -- NULL once erased, and where the client sent a digest alone.
  payload     bytea
) PARTITION BY LIST (segment);

CREATE FUNCTION guard_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Erasure, and it alone, changes an entry: payload, digest and nonce go together and do not come back.
  IF TG_OP = 'DELETE'
     OR (NEW.segment, NEW.log, NEW.index, NEW.received_at, NEW.commitment, NEW.leaf_hash)
        IS DISTINCT FROM (OLD.segment, OLD.log, OLD.index, OLD.received_at, OLD.commitment, OLD.leaf_hash)
     OR NEW.payload IS NOT NULL OR NEW.digest IS NOT NULL OR NEW.nonce IS NOT NULL THEN
    RAISE EXCEPTION 'entries are immutable but for erasure' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON entries FOR EACH ROW EXECUTE FUNCTION guard_entry();
CREATE TRIGGER kept BEFORE TRUNCATE ON entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Made apart and then attached: that waits for nobody who is appending, which CREATE … PARTITION OF would.
CREATE FUNCTION open_segment(number integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  part text := format('entries_%s', lpad(number::text, 6, '0'));
BEGIN
  EXECUTE format('CREATE TABLE %I (LIKE entries INCLUDING DEFAULTS INCLUDING CONSTRAINTS, CHECK (segment = %s))', part, number);
  EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (segment, log, index)', part);
  EXECUTE format('CREATE INDEX ON %I (digest) WHERE digest IS NOT NULL', part);
  -- Row triggers come with the partitioned table, those of statements do not.
  EXECUTE format('CREATE TRIGGER kept BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', part);
  EXECUTE format('ALTER TABLE entries ATTACH PARTITION %I FOR VALUES IN (%s)', part, number);
  INSERT INTO segments (id) VALUES (number);
END $$;
SELECT open_segment(1);

-- Complete tiles only. A partial tile is made of the leaf hashes of entries, or of the roots of the tiles below it.
CREATE TABLE tiles (
  log    integer NOT NULL REFERENCES logs,
  level  smallint NOT NULL CHECK (level BETWEEN 0 AND 6),
  index  bigint NOT NULL,
  -- The root over the 256 hashes: what the tile is in the tile above.
  root   bytea NOT NULL CHECK (length(root) = 32),
  hashes bytea NOT NULL CHECK (length(hashes) = 8192),
  PRIMARY KEY (log, level, index)
);
-- Hashes do not compress, and out of line a scan over roots stays narrow.
ALTER TABLE tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON tiles FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON tiles FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Every checkpoint that was signed. The primary key is the invariant: one root for each size.
CREATE TABLE checkpoints (
  log       integer NOT NULL REFERENCES logs,
  size      bigint NOT NULL,
  root      bytea NOT NULL CHECK (length(root) = 32),
  note      text NOT NULL,
  signed_at bigint NOT NULL,
  PRIMARY KEY (log, size)
);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON checkpoints FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
