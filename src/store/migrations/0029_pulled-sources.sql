-- Sources of kind 'pull': APIs that we fetch audit events from. Where to go on is stored in the transaction that appends.

CREATE TABLE source_cursors (
  source   text PRIMARY KEY REFERENCES sources ON DELETE CASCADE,
  -- Grows with each page, so that of two processes that fetched the same page one stores it.
  version  bigint NOT NULL DEFAULT 0,
  -- The window of time that is fetched, milliseconds since the Unix epoch, and where in it; null: its first page.
  since    bigint NOT NULL,
  until    bigint NOT NULL CHECK (until >= since),
  page     text,
  -- When to ask; while a process asks: when it is given up for dead.
  next_at  bigint NOT NULL,
  -- In a row, and the last problem.
  failures integer NOT NULL DEFAULT 0,
  problem  text
);
CREATE INDEX source_cursors_due ON source_cursors (next_at);
