-- What keeps a witness from cosigning a log, as it was last found: one row for each witness and log, gone once the witness
-- cosigns that log again. Every process tells it, not only the one that was refused.
CREATE TABLE witness_problems (
  -- The public key.
  witness bytea NOT NULL CHECK (length(witness) = 32),
  log     integer NOT NULL REFERENCES logs,
  code    text NOT NULL,
  says    text NOT NULL,
  -- Milliseconds since the Unix epoch: when it was last found.
  found_at bigint NOT NULL,
  PRIMARY KEY (witness, log)
);
