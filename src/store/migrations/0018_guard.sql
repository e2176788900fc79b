-- When each schedule of the workers was last heeded, by the clock of the database: a queue that wakes nobody shows in it.
CREATE TABLE schedule_runs (
  schedule text PRIMARY KEY,
  at       bigint NOT NULL
);

-- How far each journal of what was published was seen to reach: one that lost lines since shows in it.
CREATE TABLE guard_journals (
  journal    text PRIMARY KEY,
  -- Host and path, by which a journal is known that has lost its own name.
  place      text NOT NULL,
  generation bigint NOT NULL,
  length     bigint NOT NULL,
  digest     bytea NOT NULL,
  seen_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX guard_journals_place ON guard_journals (place);
