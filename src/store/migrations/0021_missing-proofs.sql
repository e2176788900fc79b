-- Why a proof is missing, and which release gave it up: a later one that knows more tries again.

ALTER TABLE evm_evidence
  -- Of the error; NULL: stored by a release before this one.
  ADD COLUMN code text,
  -- Version of what rebuilds blocks (evm/block.ts), where it could not.
  ADD COLUMN encoder integer;
CREATE INDEX evm_evidence_missing ON evm_evidence (target, round) WHERE header IS NULL;

-- A target whose newest blocks cannot be rebuilt, until one can.
CREATE TABLE evm_opaque (
  target     text PRIMARY KEY REFERENCES targets,
  code       text NOT NULL,
  problem    text NOT NULL,
  -- Blocks in a row, and the last of them.
  blocks     integer NOT NULL CHECK (blocks > 0),
  block_hash bytea NOT NULL CHECK (length(block_hash) = 32),
  encoder    integer NOT NULL,
  since      bigint NOT NULL,
  -- Whether the log has it.
  told       boolean NOT NULL DEFAULT false
);
