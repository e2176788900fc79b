-- What is known of clocks, told by those who see it to all processes. Rows that are not renewed mean nothing.
CREATE TABLE clock_reports (
  -- `HOST:PID` of a process, or the name of a target.
  subject text NOT NULL,
  kind    text NOT NULL CHECK (kind IN ('process', 'chain')),
  -- Milliseconds that it is ahead of the database's clock: the clock of a process, or the newest final block of a chain.
  ahead   bigint NOT NULL,
  -- CAIP-2, of a chain.
  chain   text CHECK ((chain IS NULL) = (kind = 'process')),
  -- Whether a process does not believe its own wall clock, which jumped ahead.
  held    boolean NOT NULL DEFAULT false,
  -- Milliseconds by which the wall clock of a process has jumped of late.
  jumped  bigint,
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (kind, subject)
);
