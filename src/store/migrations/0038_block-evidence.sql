-- What the proofs of several rounds in one block have in common is stored once for the block.

CREATE TABLE evm_blocks (
  block_hash bytea PRIMARY KEY CHECK (length(block_hash) = 32),
  -- RLP; hashes to block_hash.
  header     bytea NOT NULL,
  -- Trie nodes with which proofs of transactions and receipts in it begin. A proof refers to each by its place, one byte.
  nodes      bytea[] NOT NULL CHECK (cardinality(nodes) <= 256)
);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON evm_blocks FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON evm_blocks FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Proofs of older releases stay as they are: with the header, and with all nodes.
ALTER TABLE evm_evidence
  -- Places of the nodes in evm_blocks with which the proofs begin; NULL: proofs of older releases, and where there is none.
  ADD COLUMN transaction_nodes bytea,
  ADD COLUMN receipt_nodes     bytea,
  DROP CONSTRAINT evm_evidence_check,
  DROP CONSTRAINT evm_evidence_check1,
  DROP CONSTRAINT evm_evidence_check2,
  ADD CHECK (num_nonnulls(index, transaction_proof, receipt_proof, log_index) IN (0, 4)),
  ADD CHECK (num_nonnulls(header, transaction_nodes, problem) = 1),
  ADD CHECK ((index IS NULL) = (problem IS NOT NULL)),
  ADD CHECK ((transaction_nodes IS NULL) = (receipt_nodes IS NULL)),
  ADD CHECK (index IS NULL OR retry_at IS NULL);
DROP INDEX evm_evidence_missing;
CREATE INDEX evm_evidence_missing ON evm_evidence (target, round) WHERE index IS NULL;
DROP TRIGGER immutable ON evm_evidence;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON evm_evidence FOR EACH ROW
  WHEN (OLD.index IS NOT NULL) EXECUTE FUNCTION refuse_change();

-- Blocks of Bitcoin are few, and a header was stored for each round and calendar.
CREATE TABLE ots_blocks (
  -- In the order in which it is shown.
  block_hash bytea PRIMARY KEY CHECK (length(block_hash) = 32),
  header     bytea NOT NULL CHECK (length(header) = 80)
);
INSERT INTO ots_blocks SELECT DISTINCT ON (block_hash) block_hash, header FROM ots_attestations WHERE header IS NOT NULL;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON ots_blocks FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON ots_blocks FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE ots_attestations
  DROP COLUMN header,
  ADD CHECK ((state IN ('included', 'confirmed', 'buried')) = (block_hash IS NOT NULL));
