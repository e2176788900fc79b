-- Rounds: the heads of all logs that grew, under one root, each round linked to the one before.
CREATE TABLE rounds (
  number        bigint PRIMARY KEY CHECK (number > 0),
  closed_at     bigint NOT NULL,
  previous_root bytea NOT NULL CHECK (length(previous_root) = 32),
  root          bytea NOT NULL UNIQUE CHECK (length(root) = 32),
  -- Leaves, the link included.
  size          integer NOT NULL CHECK (size > 0),
  -- [{chain, height, hash}], as the link leaf has them.
  beacons       jsonb NOT NULL
);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON rounds FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON rounds FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE round_leaves (
  round bigint NOT NULL REFERENCES rounds,
  index integer NOT NULL CHECK (index >= 0),
  -- The leaf data: link, checkpoint or digest.
  leaf  bytea NOT NULL,
  -- Of a checkpoint leaf: which log, up to which size.
  log   integer REFERENCES logs,
  size  bigint,
  PRIMARY KEY (round, index)
);
-- The first round that covers an entry: the least size above its index.
CREATE UNIQUE INDEX ON round_leaves (log, size) WHERE log IS NOT NULL;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON round_leaves FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON round_leaves FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How far each log is in a round. Derived, and kept apart from the logs so that closing a round waits for no append.
CREATE TABLE round_heads (
  log  integer PRIMARY KEY REFERENCES logs,
  size bigint NOT NULL
);

CREATE FUNCTION announce_progress() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('antequem_progress', '');
  RETURN NULL;
END $$;
CREATE TRIGGER progress AFTER INSERT ON rounds FOR EACH STATEMENT EXECUTE FUNCTION announce_progress();
