-- RFC 3161: a third kind of target, an authority that signs a token over the root of each round. A token is in no block: its
-- time is that of the token.

ALTER TABLE targets DROP CONSTRAINT targets_kind_check;
ALTER TABLE targets ADD CHECK (kind IN ('evm', 'opentimestamps', 'rfc3161'));

-- (status IN ('included', 'finalized')) = (block_number IS NOT NULL), and number, hash and time together.
ALTER TABLE anchors DROP CONSTRAINT anchors_check1, DROP CONSTRAINT anchors_check2;
ALTER TABLE anchors ADD CHECK (
  CASE kind
    WHEN 'rfc3161' THEN status IN ('pending', 'finalized') AND block_number IS NULL AND block_hash IS NULL
                        AND (status = 'finalized') = (block_time IS NOT NULL)
    ELSE (status IN ('included', 'finalized')) = (block_number IS NOT NULL)
         AND (block_number IS NULL) = (block_hash IS NULL) AND (block_number IS NULL) = (block_time IS NULL)
  END);

-- Each authority is asked by one process at a time, and not before its pause is over.
CREATE TABLE tsa_authorities (
  target     text PRIMARY KEY REFERENCES targets,
  -- When it may be asked; while it is asked, when the process that asks counts as lost.
  next_at    bigint NOT NULL DEFAULT 0,
  -- In a row.
  failures   integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
  -- What was wrong with its last answer; NULL: nothing.
  problem    text,
  -- Since when it fails.
  failing_at bigint,
  CHECK ((failures = 0) = (problem IS NULL) AND (failures = 0) = (failing_at IS NULL))
);

-- Tokens that were checked and found good: by the CA that is configured, for the root, the nonce and the policy.
CREATE TABLE tsa_tokens (
  target      text NOT NULL,
  round       bigint NOT NULL,
  -- DER.
  token       bytea NOT NULL CHECK (length(token) BETWEEN 1 AND 65536),
  -- Subject of the signer's certificate.
  authority   text NOT NULL CHECK (length(authority) <= 1024),
  -- Milliseconds; NULL: the authority does not say how exact its time is.
  accuracy    bigint CHECK (accuracy >= 0),
  received_at bigint NOT NULL,
  PRIMARY KEY (target, round),
  FOREIGN KEY (target, round) REFERENCES anchors
);
CREATE INDEX ON tsa_tokens (round);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON tsa_tokens FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON tsa_tokens FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A token is in no block, so it has an event of its own.
CREATE OR REPLACE FUNCTION tell_anchor_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.kind = 'rfc3161' THEN
    PERFORM tell_webhooks('anchor.stamped', NEW.updated_at, (
      SELECT jsonb_build_object('type', NEW.kind, 'round', r.number, 'root', encode(r.root, 'hex'), 'target', NEW.target,
        'authority', t.authority, 'time', NEW.block_time, 'accuracy', t.accuracy)
      FROM rounds r JOIN tsa_tokens t ON t.round = r.number AND t.target = NEW.target WHERE r.number = NEW.round));
  ELSE
    PERFORM tell_webhooks('anchor.' || NEW.status, NEW.updated_at, anchor_facts(
      NEW.target, NEW.round, NEW.transaction, NEW.block_number, NEW.block_hash, NEW.block_time));
  END IF;
  RETURN NULL;
END $$;
