-- Runs of the digest index are put together, so that a look-up reads few rows however many digests there are. Their rows are
-- dealt out by more bits of the digest than the first byte: a node has those that begin with the same 8 + 4 * depth bits.
CREATE TABLE merged_digests (
  depth   smallint NOT NULL CHECK (depth BETWEEN 1 AND 10),
  -- The bits.
  node    bigint   NOT NULL CHECK (node >= 0),
  id      bigint   GENERATED ALWAYS AS IDENTITY,
  -- The runs that it was made of.
  oldest  bigint   NOT NULL,
  newest  bigint   NOT NULL,
  -- As in digest_runs.
  records bytea    NOT NULL,
  -- With the runs, so that erasure looks at no row of another time.
  PRIMARY KEY (depth, node, id, oldest, newest)
);
ALTER TABLE merged_digests ALTER COLUMN records SET STORAGE MAIN;
