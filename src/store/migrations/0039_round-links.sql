-- What the link of a round says is stored in its leaf alone. Rounds of older releases keep it in their rows, too.
ALTER TABLE rounds
  ALTER COLUMN previous_root DROP NOT NULL,
  ALTER COLUMN beacons DROP NOT NULL,
  ADD CHECK ((previous_root IS NULL) = (beacons IS NULL));

-- A round and its leaves are inserted together, and neither can be deleted: the reference locked a row for each round.
ALTER TABLE packed_leaves DROP CONSTRAINT packed_leaves_round_fkey;

-- What was spent in a day is found by its time. Each of the three versions of a row had its own entry with chain and account.
DROP INDEX evm_transactions_spending;
CREATE INDEX evm_transactions_spending ON evm_transactions (signed_at);

-- evm_evidence: a proof of a round that is alone in its block has header and all nodes, as those of older releases have.
