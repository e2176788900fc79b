-- The leaves of a round are one row. Before, each was a row with three indexes, and together with its checkpoint most of
-- what a round cost. What is looked up by log is a narrow row beside it.

ALTER TABLE round_leaves RENAME TO unpacked_leaves;
DROP TABLE round_heads;

CREATE TABLE packed_leaves (
  round       bigint PRIMARY KEY REFERENCES rounds,
  -- The leaf data in the order of the tree: the link, checkpoints of 73 bytes each, digests of 33 bytes each.
  link        bytea NOT NULL,
  checkpoints bytea NOT NULL,
  digests     bytea NOT NULL
);
-- Hashes do not compress, and of what is not compressed a part can be read.
ALTER TABLE packed_leaves ALTER COLUMN checkpoints SET STORAGE EXTERNAL, ALTER COLUMN digests SET STORAGE EXTERNAL;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON packed_leaves FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON packed_leaves FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Which leaf has a log at which size. The first round that covers an entry has the least size above its index.
CREATE TABLE round_logs (
  size  bigint NOT NULL,
  round bigint NOT NULL,
  log   integer NOT NULL,
  index integer NOT NULL,
  PRIMARY KEY (log, size)
);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON round_logs FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON round_logs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Leaves that clients ask our calendar for: the first eight bytes of the leaf hash, and the round.
CREATE TABLE leaf_marks (
  mark  bigint NOT NULL,
  round bigint NOT NULL,
  PRIMARY KEY (mark, round)
);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE ON leaf_marks FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON leaf_marks FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION leaf_mark(leaf bytea) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT ('x' || encode(substr(sha256('\x00'::bytea || leaf), 1, 8), 'hex'))::bit(64)::bigint $$;

-- Each leaf, with the row that finds it by its log. Bytes behind the last whole leaf count as one.
CREATE VIEW round_leaves AS
  SELECT f.round, f.index, f.leaf, r.log, r.size
  FROM (SELECT p.round, n AS index,
               CASE WHEN n = 0 THEN p.link
                    WHEN n <= k.checkpoints THEN substr(p.checkpoints, 73 * n - 72, 73)
                    ELSE substr(p.digests, 33 * (n - k.checkpoints) - 32, 33) END AS leaf
        FROM packed_leaves p
        CROSS JOIN LATERAL (SELECT (octet_length(p.checkpoints) + 72) / 73 AS checkpoints,
                                   (octet_length(p.digests) + 32) / 33 AS digests) AS k
        CROSS JOIN LATERAL generate_series(0, k.checkpoints + k.digests) AS n) AS f
  LEFT JOIN logs l ON l.log_id = substr(f.leaf, 2, 32) AND substr(f.leaf, 1, 1) = '\x81'
  LEFT JOIN round_logs r ON r.log = l.id AND r.size = ('x' || encode(substr(f.leaf, 34, 8), 'hex'))::bit(64)::bigint
                        AND r.round = f.round AND r.index = f.index;

-- How far each log is in a round.
CREATE VIEW round_heads AS
  SELECT l.id AS log, h.size FROM logs l
  CROSS JOIN LATERAL (SELECT size FROM round_logs WHERE log = l.id ORDER BY size DESC LIMIT 1) AS h;

-- Where there are leaves, the service packs them when it starts (anchor/unpacked.ts).
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM unpacked_leaves) THEN
    DROP TABLE unpacked_leaves;
  END IF;
END $$;
