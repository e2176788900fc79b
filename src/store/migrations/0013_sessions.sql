-- Who is signed in to the pages: an API key stands behind each session, and its revocation ends it.
CREATE TABLE sessions (
  -- SHA-256 of the secret in the cookie.
  id         bytea PRIMARY KEY CHECK (length(id) = 32),
  key        text NOT NULL REFERENCES api_keys,
  -- Over secret, key and expiry, under a key that is not in the database: whoever writes here alone signs nobody in.
  proof      bytea NOT NULL CHECK (length(proof) = 32),
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL
);
CREATE INDEX ON sessions (key, created_at);
CREATE INDEX ON sessions (expires_at);
