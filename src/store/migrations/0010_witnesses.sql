-- What witnesses said of checkpoints; each was verified under its key before it was stored.

CREATE TABLE cosignatures (
  log       integer NOT NULL,
  size      bigint NOT NULL,
  -- The public key, which is what a witness is known by: names may change.
  witness   bytea NOT NULL CHECK (length(witness) = 32),
  -- Of the key, as it stands in the signature line.
  name      text NOT NULL,
  -- Time in seconds since the Unix epoch as a u64, and the signature, as they stand in the line.
  signature bytea NOT NULL CHECK (length(signature) = 72),
  stored_at bigint NOT NULL,
  PRIMARY KEY (log, size, witness),
  FOREIGN KEY (log, size) REFERENCES checkpoints
);
-- How far a witness has come with a log.
CREATE INDEX cosignatures_reach ON cosignatures (witness, log, size);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON cosignatures FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON cosignatures FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
