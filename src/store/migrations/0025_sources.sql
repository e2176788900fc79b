-- Sources: senders whose events are logged without an API key. A webhook is sent to us; later kinds are fetched by us. What a
-- kind needs beside its settings and secrets stands in tables of its own.

CREATE TABLE sources (
  -- Unguessable: it is the address that a webhook is sent to.
  id          text PRIMARY KEY CHECK (id ~ '^src_[0-9a-f]{32}$'),
  name        text NOT NULL UNIQUE,
  kind        text NOT NULL,
  scheme      text NOT NULL,
  -- Without secrets; `_system` tells them.
  settings    jsonb NOT NULL,
  log         integer NOT NULL REFERENCES logs,
  created_at  bigint NOT NULL,
  -- When something came last, and when and why something was refused last; behind by some seconds.
  received_at bigint,
  refused_at  bigint,
  refusal     text
);

CREATE TABLE source_secrets (
  source     text NOT NULL REFERENCES sources ON DELETE CASCADE,
  number     integer NOT NULL,
  -- AES-256-GCM under a key that is derived from the seed, which no database holds.
  sealed     bytea NOT NULL,
  created_at bigint NOT NULL,
  -- From then on it is refused; null: it is the newest.
  expires_at bigint,
  PRIMARY KEY (source, number)
);
