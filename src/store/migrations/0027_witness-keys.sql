-- Cosignatures by ML-DSA-44 beside those by Ed25519, and what witnesses show to others.

-- A witness is known by its Ed25519 key, or by the SHA-256 of a key of another type.
ALTER TABLE cosignatures
  DROP CONSTRAINT cosignatures_signature_check,
  ADD CONSTRAINT cosignatures_signature_check CHECK (length(signature) IN (8 + 64, 8 + 2420));

ALTER TABLE witness_problems
  -- offer: why it does not cosign. shown: what is wrong with the checkpoint that it shows to others.
  ADD COLUMN source text NOT NULL DEFAULT 'offer' CHECK (source IN ('offer', 'shown')),
  DROP CONSTRAINT witness_problems_pkey,
  ADD PRIMARY KEY (witness, log, source);
