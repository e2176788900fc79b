-- OpenTimestamps: a second kind of target. It has calendars in place of a contract, and its anchors need no transaction
-- of ours.

ALTER TABLE targets
  ADD COLUMN kind text NOT NULL DEFAULT 'evm' CHECK (kind IN ('evm', 'opentimestamps')),
  ALTER COLUMN contract DROP NOT NULL,
  ALTER COLUMN mode DROP NOT NULL,
  ADD CHECK ((kind = 'evm') = (contract IS NOT NULL)),
  ADD CHECK ((kind = 'evm') = (mode IS NOT NULL)),
  ADD UNIQUE (name, kind);

ALTER TABLE anchors ADD COLUMN kind text NOT NULL DEFAULT 'evm';
ALTER TABLE anchors
  -- (status = 'pending') = (transaction IS NULL), which from now on is said of EVM chains alone.
  DROP CONSTRAINT anchors_check,
  ADD FOREIGN KEY (target, kind) REFERENCES targets (name, kind),
  ADD CHECK (CASE kind WHEN 'evm' THEN (status = 'pending') = (transaction IS NULL) ELSE transaction IS NULL END);

-- What calendars are asked for: a timestamp of a round's root, or the rest of the way from a message at which an answer
-- names a calendar that will know more.
CREATE TABLE ots_requests (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  target      text NOT NULL,
  round       bigint NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('submit', 'upgrade')),
  -- Its URL. Of an upgrade: as the answer spells it, asked only if it is configured.
  calendar    text NOT NULL CHECK (length(calendar) <= 1000),
  -- The root, or the message it will know more of.
  message     bytea NOT NULL CHECK (length(message) <= 256),
  -- Since its answer last did something for us.
  attempts    integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  created_at  bigint NOT NULL,
  tried_at    bigint,
  answered_at bigint,
  -- When to ask; NULL: it has answered, or is not configured. While somebody asks: when he is given up for dead.
  next_at     bigint,
  problem     text,
  UNIQUE (target, round, kind, calendar, message),
  FOREIGN KEY (target, round) REFERENCES anchors,
  CHECK (answered_at IS NULL OR next_at IS NULL)
);
CREATE INDEX ots_requests_due ON ots_requests (target, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX ots_requests_open ON ots_requests (target, calendar) WHERE answered_at IS NULL;

-- Answers as they came: timestamps of the request's message. A calendar answers anew when its transaction went into
-- another block.
CREATE TABLE ots_answers (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  request     bigint NOT NULL REFERENCES ots_requests,
  answer      bytea NOT NULL CHECK (length(answer) BETWEEN 1 AND 10000),
  received_at bigint NOT NULL
);
CREATE UNIQUE INDEX ots_answers_once ON ots_answers (request, sha256(answer));
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON ots_answers FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON ots_answers FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What answers say of Bitcoin: that the block at this height has this merkle root.
CREATE TABLE ots_attestations (
  request     bigint NOT NULL REFERENCES ots_requests,
  height      bigint NOT NULL CHECK (height >= 0),
  -- As it stands in the header.
  merkle_root bytea NOT NULL CHECK (length(merkle_root) = 32),
  -- unseen: not looked up, or there is no such block yet. included: in a block that is not deep enough. buried: nobody
  -- looks any more. contradicted: the block has another merkle root.
  state       text NOT NULL DEFAULT 'unseen' CHECK (state IN ('unseen', 'included', 'confirmed', 'buried', 'contradicted')),
  -- Of the block that has it: 80 bytes, and their hash in the order in which it is shown.
  header      bytea CHECK (length(header) = 80),
  block_hash  bytea CHECK (length(block_hash) = 32),
  found_at    bigint NOT NULL,
  -- When to look; NULL: no more.
  next_at     bigint,
  problem     text,
  PRIMARY KEY (request, height, merkle_root),
  CHECK ((state IN ('included', 'confirmed', 'buried')) = (header IS NOT NULL)),
  CHECK ((header IS NULL) = (block_hash IS NULL)),
  CHECK ((state = 'buried') = (next_at IS NULL))
);
CREATE INDEX ots_attestations_due ON ots_attestations (next_at) WHERE next_at IS NOT NULL;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON ots_attestations FOR EACH ROW
  WHEN (OLD.state = 'buried') EXECUTE FUNCTION refuse_change();

-- What is final stays so, but on a chain that may be started anew, and in a Bitcoin block while that is watched.
CREATE OR REPLACE FUNCTION guard_final_anchor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (TG_OP = 'DELETE'
      OR (NEW.status, NEW.transaction, NEW.block_number, NEW.block_hash)
         IS DISTINCT FROM (OLD.status, OLD.transaction, OLD.block_number, OLD.block_hash))
     AND NOT (SELECT ephemeral FROM targets WHERE name = OLD.target)
     AND NOT (TG_OP = 'UPDATE' AND OLD.kind = 'opentimestamps' AND NOT EXISTS (
       SELECT FROM ots_requests q JOIN ots_attestations a ON a.request = q.id
       WHERE q.target = OLD.target AND q.round = OLD.round AND a.block_hash = OLD.block_hash AND a.state = 'buried')) THEN
    RAISE EXCEPTION 'the anchor of round % with % is final', OLD.round, OLD.target USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
