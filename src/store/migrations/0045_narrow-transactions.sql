-- Every round has a transaction, and every status that this goes through was a new version of its row with an entry in nine
-- indexes, four of them with chain and account as text. Now the account is a number, and what is final stands in few indexes.

ALTER TABLE evm_accounts ADD COLUMN id smallint GENERATED ALWAYS AS IDENTITY UNIQUE;

DROP INDEX evm_transactions_nonce, evm_transactions_unmined, evm_transactions_by_nonce, evm_transactions_round, evm_transactions_by_round,
  evm_transactions_spending;
ALTER TABLE evm_transactions DROP CONSTRAINT evm_transactions_chain_sender_fkey;

-- Changing the type writes the table anew without its dead versions, and row by row. An update would keep twice of it.
CREATE FUNCTION account_number(of_chain text, of_address text) RETURNS smallint LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT id FROM evm_accounts WHERE chain = of_chain AND address = of_address);
END $$;
ALTER TABLE evm_transactions ALTER COLUMN sender TYPE smallint USING account_number(chain, sender);
DROP FUNCTION account_number(text, text);
ALTER TABLE evm_transactions RENAME COLUMN sender TO account;
ALTER TABLE evm_transactions DROP COLUMN chain, ADD FOREIGN KEY (account) REFERENCES evm_accounts (id);

-- Money is spent once for a round, target and purpose. The index has all attempts: those that may not be mined any more, or have
-- a successor, differ by their number.
CREATE UNIQUE INDEX evm_transactions_round ON evm_transactions
  (target, round, purpose, (CASE WHEN status IN ('signed', 'broadcast', 'included', 'finalized') THEN 0 ELSE id END));
-- One live transaction for a nonce. Once that is final, the chain takes no other.
CREATE UNIQUE INDEX evm_transactions_nonce ON evm_transactions (account, nonce) WHERE status IN ('signed', 'broadcast', 'included');
CREATE INDEX evm_transactions_unmined ON evm_transactions (account, nonce) WHERE status IN ('signed', 'broadcast', 'replaced');
-- Rows are in about the order in which they were signed, so that a range of blocks is enough to find those of a day.
CREATE INDEX evm_transactions_spending ON evm_transactions USING brin (signed_at) WITH (pages_per_range = 16);

CREATE OR REPLACE FUNCTION guard_evm_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR (NEW.id, NEW.target, NEW.round, NEW.account, NEW.instance, NEW.nonce, NEW.hash, NEW.raw,
         NEW.gas_limit, NEW.max_fee, NEW.priority_fee, NEW.signed_at, NEW.replaces, NEW.purpose, NEW.stores)
        IS DISTINCT FROM (OLD.id, OLD.target, OLD.round, OLD.account, OLD.instance, OLD.nonce, OLD.hash, OLD.raw,
         OLD.gas_limit, OLD.max_fee, OLD.priority_fee, OLD.signed_at, OLD.replaces, OLD.purpose, OLD.stores)
     OR (OLD.status = 'abandoned' AND NEW.status <> 'abandoned') THEN
    RAISE EXCEPTION 'a signed transaction is never changed or forgotten' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- The newest block is that of the newest round that is in one.
DROP INDEX anchors_newest_block;

-- No two rounds have the same root. A hash of four bytes is enough to find one.
ALTER TABLE rounds DROP CONSTRAINT rounds_root_key;
ALTER TABLE rounds ADD CONSTRAINT rounds_root_key EXCLUDE USING hash (root WITH =);
