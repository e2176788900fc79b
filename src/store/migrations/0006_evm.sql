-- Sending with money: attempts at one nonce, what they cost, what the operator was alarmed about, what the account holds.

ALTER TABLE evm_transactions
  -- The attempt at the same nonce that this one outbids.
  ADD COLUMN replaces      bigint REFERENCES evm_transactions,
  -- When a node first took it, since it was last in no block: how long it has been waiting.
  ADD COLUMN first_sent_at bigint,
  -- Wei, once it is in a block; until then it may cost gas_limit * max_fee.
  ADD COLUMN cost          numeric(78),
  -- Since when another transaction is seen to have its nonce, or it is mined without its event.
  ADD COLUMN lost_at       bigint,
  -- When the operator said to go on without it.
  ADD COLUMN cleared_at    bigint;
CREATE INDEX evm_transactions_attempts ON evm_transactions (target, round) WHERE status <> 'abandoned';
CREATE INDEX evm_transactions_spending ON evm_transactions (chain, sender, signed_at);

CREATE OR REPLACE FUNCTION guard_evm_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR (NEW.id, NEW.target, NEW.round, NEW.chain, NEW.sender, NEW.instance, NEW.nonce, NEW.hash, NEW.raw,
         NEW.gas_limit, NEW.max_fee, NEW.priority_fee, NEW.signed_at, NEW.replaces)
        IS DISTINCT FROM (OLD.id, OLD.target, OLD.round, OLD.chain, OLD.sender, OLD.instance, OLD.nonce, OLD.hash, OLD.raw,
         OLD.gas_limit, OLD.max_fee, OLD.priority_fee, OLD.signed_at, OLD.replaces)
     OR (OLD.status = 'abandoned' AND NEW.status <> 'abandoned') THEN
    RAISE EXCEPTION 'a signed transaction is never changed or forgotten' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- What is final stays so, but on a chain that may be started anew.
CREATE FUNCTION guard_final_anchor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (TG_OP = 'DELETE'
      OR (NEW.status, NEW.transaction, NEW.block_number, NEW.block_hash)
         IS DISTINCT FROM (OLD.status, OLD.transaction, OLD.block_number, OLD.block_hash))
     AND NOT (SELECT ephemeral FROM targets WHERE name = OLD.target) THEN
    RAISE EXCEPTION 'the anchor of round % with % is final', OLD.round, OLD.target USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER guard_final BEFORE UPDATE OR DELETE ON anchors FOR EACH ROW
  WHEN (OLD.status = 'finalized') EXECUTE FUNCTION guard_final_anchor();

ALTER TABLE evm_accounts
  -- Foreign transactions up to this count are known to the operator: nonces go on behind them once they are final.
  ADD COLUMN adopt       bigint CHECK (adopt >= 0),
  -- Wei when last looked at, and whether that was too little for long.
  ADD COLUMN balance     numeric(78),
  ADD COLUMN balance_low boolean,
  ADD COLUMN balance_at  bigint;

-- What stopped targets, and when the operator let them go on.
CREATE TABLE target_alarms (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  target      text NOT NULL REFERENCES targets,
  at          bigint NOT NULL,
  code        text NOT NULL,
  reason      text NOT NULL,
  -- How many transactions the chain counted of the account then, those waiting included.
  nonce_count bigint,
  cleared_at  bigint
);
CREATE INDEX target_alarms_open ON target_alarms (target) WHERE cleared_at IS NULL;
