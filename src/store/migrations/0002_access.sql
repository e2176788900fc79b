-- API keys: only a hash of the secret is kept.
CREATE TABLE api_keys (
  id          text PRIMARY KEY,
  name        text NOT NULL,
  secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
  scopes      text[] NOT NULL CHECK (scopes <@ ARRAY['append', 'read', 'admin'] AND cardinality(scopes) > 0),
  -- NULL: all logs.
  logs        text[],
  created_at  bigint NOT NULL,
  revoked_at  bigint
);

-- What an Idempotency-Key was answered with.
CREATE TABLE idempotency (
  log          integer NOT NULL REFERENCES logs,
  -- The id of the API key that used it; empty where none is asked for.
  owner        text NOT NULL,
  key          text NOT NULL,
  request_hash bytea NOT NULL CHECK (length(request_hash) = 32),
  first_index  bigint NOT NULL,
  count        integer NOT NULL,
  created_at   bigint NOT NULL,
  PRIMARY KEY (log, owner, key)
);
CREATE INDEX ON idempotency (created_at);
