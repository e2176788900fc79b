-- Anchoring: where every round stands with every target, and every transaction that was ever signed for it. What is to
-- be done next follows from these tables alone; the queue merely says when to look.

CREATE TABLE targets (
  name         text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{0,39}$'),
  -- CAIP-2.
  chain        text NOT NULL,
  -- 0x and lower-case hex, as in receipts.
  contract     text NOT NULL CHECK (contract ~ '^0x[0-9a-f]{40}$'),
  mode         text NOT NULL CHECK (mode IN ('anchor', 'announce')),
  -- A chain that may be started anew under the same id, such as a local one.
  ephemeral    boolean NOT NULL,
  -- Rounds before it are not anchored here.
  first_round  bigint NOT NULL CHECK (first_round > 0),
  -- How often its chain was started, and the hash of block 0 by which that is told; NULL until first looked at.
  instance     integer NOT NULL DEFAULT 1,
  genesis      bytea CHECK (length(genesis) = 32),
  created_at   bigint NOT NULL,
  -- Something only the operator can judge: nothing is sent until cleared.
  stopped_at   bigint,
  stop_code    text,
  stop_reason  text,
  CHECK ((stopped_at IS NULL) = (stop_code IS NULL) AND (stopped_at IS NULL) = (stop_reason IS NULL))
);

CREATE TABLE anchors (
  target       text NOT NULL REFERENCES targets,
  round        bigint NOT NULL REFERENCES rounds,
  status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'submitted', 'included', 'finalized')),
  -- The transaction that was sent for it, in its block once it has one.
  transaction  bytea CHECK (length(transaction) = 32),
  block_number bigint,
  block_hash   bytea CHECK (length(block_hash) = 32),
  -- Milliseconds, like every time here.
  block_time   bigint,
  created_at   bigint NOT NULL,
  submitted_at bigint,
  included_at  bigint,
  finalized_at bigint,
  -- What stood in the way when last looked at.
  problem      text,
  updated_at   bigint NOT NULL,
  PRIMARY KEY (target, round),
  CHECK ((status = 'pending') = (transaction IS NULL)),
  CHECK ((status IN ('included', 'finalized')) = (block_number IS NOT NULL)),
  CHECK ((block_number IS NULL) = (block_hash IS NULL) AND (block_number IS NULL) = (block_time IS NULL)),
  CHECK ((status = 'finalized') = (finalized_at IS NOT NULL))
);
CREATE INDEX ON anchors (round);
CREATE INDEX anchors_unfinished ON anchors (target, round) WHERE status <> 'finalized';
CREATE INDEX anchors_newest_block ON anchors (target, block_number DESC) WHERE status = 'finalized';
CREATE TRIGGER progress AFTER INSERT ON anchors FOR EACH STATEMENT EXECUTE FUNCTION announce_progress();
-- By row: a statement that changes nothing would wake all who wait.
CREATE TRIGGER progress_made AFTER UPDATE ON anchors FOR EACH ROW
  WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION announce_progress();

-- What an anchor was before a reorganisation, a chain started anew, or a transaction that came to nothing.
CREATE TABLE anchor_history (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at           bigint NOT NULL,
  event        text NOT NULL CHECK (event IN ('reorganized', 'restarted', 'abandoned')),
  target       text NOT NULL,
  round        bigint NOT NULL,
  instance     integer NOT NULL,
  status       text NOT NULL,
  transaction  bytea,
  block_number bigint,
  block_hash   bytea,
  block_time   bigint,
  FOREIGN KEY (target, round) REFERENCES anchors
);
CREATE INDEX ON anchor_history (target, round);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON anchor_history FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Accounts that pay. An account belongs to one target: whoever holds its row's lock takes the next nonce.
CREATE TABLE evm_accounts (
  chain       text NOT NULL,
  address     text NOT NULL CHECK (address ~ '^0x[0-9a-f]{40}$'),
  target      text NOT NULL REFERENCES targets,
  -- NULL until first used on this instance of the chain: then the chain's own count is where it begins.
  next_nonce  bigint CHECK (next_nonce >= 0),
  created_at  bigint NOT NULL,
  -- When `_system` took the entry that declares it.
  declared_at bigint,
  PRIMARY KEY (chain, address)
);

CREATE TABLE evm_transactions (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  target       text NOT NULL,
  round        bigint NOT NULL,
  chain        text NOT NULL,
  sender       text NOT NULL,
  -- The target's when it was signed. A chain started anew can see the very same bytes once more.
  instance     integer NOT NULL,
  nonce        bigint NOT NULL CHECK (nonce >= 0),
  hash         bytea NOT NULL CHECK (length(hash) = 32),
  raw          bytea NOT NULL,
  gas_limit    bigint NOT NULL,
  -- Wei per gas.
  max_fee      numeric(39) NOT NULL,
  priority_fee numeric(39) NOT NULL,
  -- signed: stored, perhaps sent. broadcast: the node took it. Afterwards what became of it; `replaced` ones have a
  -- successor with their nonce and may still be mined; `abandoned` ones cannot be any more.
  status       text NOT NULL DEFAULT 'signed'
               CHECK (status IN ('signed', 'broadcast', 'included', 'finalized', 'replaced', 'abandoned')),
  signed_at    bigint NOT NULL,
  -- When it was last handed to a node.
  sent_at      bigint,
  FOREIGN KEY (target, round) REFERENCES anchors,
  FOREIGN KEY (chain, sender) REFERENCES evm_accounts
);
-- Money is spent once: one live transaction for a round and target, and one for a nonce.
CREATE UNIQUE INDEX evm_transactions_round ON evm_transactions (target, round)
  WHERE status IN ('signed', 'broadcast', 'included', 'finalized');
CREATE UNIQUE INDEX evm_transactions_nonce ON evm_transactions (chain, sender, nonce)
  WHERE status IN ('signed', 'broadcast', 'included', 'finalized');
CREATE INDEX evm_transactions_unmined ON evm_transactions (chain, sender, nonce) WHERE status IN ('signed', 'broadcast');

CREATE FUNCTION guard_evm_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR (NEW.id, NEW.target, NEW.round, NEW.chain, NEW.sender, NEW.instance, NEW.nonce, NEW.hash, NEW.raw,
         NEW.gas_limit, NEW.max_fee, NEW.priority_fee, NEW.signed_at)
        IS DISTINCT FROM (OLD.id, OLD.target, OLD.round, OLD.chain, OLD.sender, OLD.instance, OLD.nonce, OLD.hash, OLD.raw,
         OLD.gas_limit, OLD.max_fee, OLD.priority_fee, OLD.signed_at)
     OR (OLD.status = 'abandoned' AND NEW.status <> 'abandoned') THEN
    RAISE EXCEPTION 'a signed transaction is never changed or forgotten' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON evm_transactions FOR EACH ROW EXECUTE FUNCTION guard_evm_transaction();
