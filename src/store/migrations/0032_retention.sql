-- Retention erases entries in bulk once they are older than their log keeps them; a hold keeps them nevertheless. `_system`
-- tells of each change and of each run.

CREATE TABLE retention (
  log       integer PRIMARY KEY REFERENCES logs,
  -- Milliseconds that an entry is kept.
  period    bigint NOT NULL CHECK (period > 0),
  set_at    bigint NOT NULL,
  -- When the oldest entry was due that is neither erased nor held, as the worker last saw; NULL: none is due.
  due_since bigint
);

CREATE TABLE holds (
  id       text PRIMARY KEY CHECK (id ~ '^hold_[0-9a-f]{32}$'),
  log      integer NOT NULL REFERENCES logs,
  -- Entries received from then on, and before then, milliseconds; NULL: without a bound.
  since    bigint,
  until    bigint,
  reason   text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  added_at bigint NOT NULL,
  CHECK (since IS NULL OR until IS NULL OR since < until)
);
CREATE INDEX holds_log ON holds (log);

-- What runs erase. `_system` names a range before anything in it is erased, so that nothing is ever gone without a record; a
-- run that was broken off goes on from here.
CREATE TABLE retention_ranges (
  log       integer NOT NULL REFERENCES logs,
  first     bigint NOT NULL CHECK (first >= 0),
  -- Entries before this one are erased.
  erased_to bigint NOT NULL CHECK (erased_to >= first),
  -- The index behind the last entry.
  behind    bigint NOT NULL CHECK (behind > first AND behind >= erased_to),
  run       bigint NOT NULL,
  PRIMARY KEY (log, first)
);
CREATE INDEX retention_ranges_open ON retention_ranges (run, log, first) WHERE erased_to < behind;

CREATE TABLE retention_state (
  single            boolean PRIMARY KEY DEFAULT true CHECK (single),
  -- The number of the last run.
  run               bigint NOT NULL DEFAULT 0,
  -- When it was last looked for entries that are due, and when that is to happen again.
  looked_at         bigint NOT NULL DEFAULT 0,
  next_look_at      bigint NOT NULL DEFAULT 0,
  -- Why the last look could not erase all that was due; NULL: it could.
  problem           text,
  -- Since when nothing is erased until the operator confirms the holds; NULL: they are confirmed.
  unconfirmed_since bigint
);
INSERT INTO retention_state DEFAULT VALUES;

-- The first entry of a log that was received at this time or later; times never decrease. `size` where there is none.
CREATE FUNCTION first_entry_since(wanted_log integer, wanted_time bigint, size bigint) RETURNS bigint LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
  low  bigint := 0;
  high bigint := size;
  mid  bigint;
  at   bigint;
BEGIN
  WHILE low < high LOOP
    mid := (low + high) / 2;
    SELECT time_in_block(b, mid) INTO at FROM blocks b
    WHERE b.log = wanted_log AND b.first <= mid AND b.first > mid - 256 AND b.first + b.count > mid ORDER BY b.first DESC LIMIT 1;
    IF at IS NULL THEN
      RAISE EXCEPTION 'entry % of log % is missing', mid, wanted_log USING ERRCODE = 'data_corrupted';
    END IF;
    IF at < wanted_time THEN low := mid + 1; ELSE high := mid; END IF;
  END LOOP;
  RETURN low;
END $$;
