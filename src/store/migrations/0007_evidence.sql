-- Proofs that lead from a block's hash to an anchor: nodes drop history, so they are taken while it is there.

-- One row for each block that an anchor was seen in, written before the anchor is recorded there: with the proof, or
-- with what stood in its way.
CREATE TABLE evm_evidence (
  target            text NOT NULL,
  round             bigint NOT NULL,
  block_hash        bytea NOT NULL CHECK (length(block_hash) = 32),
  transaction       bytea NOT NULL CHECK (length(transaction) = 32),
  -- RLP; hashes to block_hash.
  header            bytea,
  -- Of the transaction in its block, and trie nodes from the roots in the header down to it and to its receipt.
  index             integer CHECK (index >= 0),
  transaction_proof bytea[],
  receipt_proof     bytea[],
  -- Of our event in that receipt.
  log_index         integer CHECK (log_index >= 0),
  -- While there is no proof: how often it was tried, why it failed, when to try again; NULL: no more.
  attempts          integer NOT NULL CHECK (attempts > 0),
  problem           text,
  retry_at          bigint,
  stored_at         bigint NOT NULL,
  PRIMARY KEY (target, round, block_hash),
  FOREIGN KEY (target, round) REFERENCES anchors,
  CHECK (num_nonnulls(header, index, transaction_proof, receipt_proof, log_index) IN (0, 5)),
  CHECK ((header IS NULL) = (problem IS NOT NULL)),
  CHECK (header IS NULL OR retry_at IS NULL)
);
CREATE INDEX evm_evidence_due ON evm_evidence (target, retry_at) WHERE retry_at IS NOT NULL;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON evm_evidence FOR EACH ROW
  WHEN (OLD.header IS NOT NULL) EXECUTE FUNCTION refuse_change();
