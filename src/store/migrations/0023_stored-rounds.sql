-- Rounds whose roots the contract stores: all of them, or one in so much time, while the others are announced.

ALTER TABLE targets
  -- Where rounds are announced (`mode`): milliseconds between two that are stored; NULL: none is.
  ADD COLUMN store_every bigint CHECK (store_every IS NULL OR (store_every > 0 AND mode = 'announce'));

ALTER TABLE evm_transactions
  -- round: says a round's root on the chain for the first time. store: has the root of a round that was announced stored.
  ADD COLUMN purpose text NOT NULL DEFAULT 'round' CHECK (purpose IN ('round', 'store')),
  -- Whether it has the contract store the root, or announces it.
  ADD COLUMN stores boolean NOT NULL DEFAULT false;
UPDATE evm_transactions t SET stores = true FROM targets WHERE name = t.target AND mode = 'anchor';
ALTER TABLE evm_transactions ADD CHECK (purpose = 'round' OR stores);

-- Money is spent once for a round, target and purpose.
DROP INDEX evm_transactions_round;
CREATE UNIQUE INDEX evm_transactions_round ON evm_transactions (target, round, purpose)
  WHERE status IN ('signed', 'broadcast', 'included', 'finalized');
-- Finds the newest stored round.
CREATE INDEX evm_transactions_stores ON evm_transactions (target, round) WHERE stores AND status <> 'abandoned';

CREATE OR REPLACE FUNCTION guard_evm_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR (NEW.id, NEW.target, NEW.round, NEW.chain, NEW.sender, NEW.instance, NEW.nonce, NEW.hash, NEW.raw,
         NEW.gas_limit, NEW.max_fee, NEW.priority_fee, NEW.signed_at, NEW.replaces, NEW.purpose, NEW.stores)
        IS DISTINCT FROM (OLD.id, OLD.target, OLD.round, OLD.chain, OLD.sender, OLD.instance, OLD.nonce, OLD.hash, OLD.raw,
         OLD.gas_limit, OLD.max_fee, OLD.priority_fee, OLD.signed_at, OLD.replaces, OLD.purpose, OLD.stores)
     OR (OLD.status = 'abandoned' AND NEW.status <> 'abandoned') THEN
    RAISE EXCEPTION 'a signed transaction is never changed or forgotten' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- The stores of rounds that were announced, with the columns that anchors have of the same names.
CREATE TABLE evm_stores (
  target       text NOT NULL,
  round        bigint NOT NULL,
  status       text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'submitted', 'included', 'finalized')),
  transaction  bytea CHECK (length(transaction) = 32),
  block_number bigint,
  block_hash   bytea CHECK (length(block_hash) = 32),
  block_time   bigint,
  created_at   bigint NOT NULL,
  submitted_at bigint,
  included_at  bigint,
  finalized_at bigint,
  problem      text,
  updated_at   bigint NOT NULL,
  PRIMARY KEY (target, round),
  FOREIGN KEY (target, round) REFERENCES anchors,
  CHECK ((status = 'pending') = (transaction IS NULL)),
  CHECK ((status IN ('included', 'finalized')) = (block_number IS NOT NULL)),
  CHECK ((block_number IS NULL) = (block_hash IS NULL) AND (block_number IS NULL) = (block_time IS NULL)),
  CHECK ((status = 'finalized') = (finalized_at IS NOT NULL))
);
CREATE INDEX evm_stores_unfinished ON evm_stores (target, round) WHERE status <> 'finalized';
-- Who waits for a stored round is woken.
CREATE TRIGGER progress_made AFTER UPDATE ON evm_stores FOR EACH ROW
  WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION announce_progress();
