-- A round is one row with its leaves. What other rows say is not in it again: its link is made of its row and of the root of
-- the round before, and its heads name logs by their numbers. Rounds of older releases keep their leaves in packed_leaves.

ALTER TABLE rounds
  -- As they stand in the link.
  ADD COLUMN link_beacons bytea,
  -- In the order of the leaves, 44 bytes each: log 4, size 8, root 32.
  ADD COLUMN heads bytea CHECK (length(heads) % 44 = 0),
  -- Leaf data of digests, 33 bytes each.
  ADD COLUMN digests bytea CHECK (length(digests) % 33 = 0),
  ADD CHECK (num_nonnulls(link_beacons, heads, digests) IN (0, 3)),
  ADD CHECK (heads IS NULL OR previous_root IS NULL),
  ADD CHECK (size = 1 + length(heads) / 44 + length(digests) / 33);
-- Hashes do not compress, and of what is not compressed a part can be read.
ALTER TABLE rounds ALTER COLUMN heads SET STORAGE EXTERNAL, ALTER COLUMN digests SET STORAGE EXTERNAL;

-- What the link of the first round names: by the origin of the service, which that of _system begins with.
CREATE FUNCTION first_previous_root() RETURNS bytea LANGUAGE sql STABLE AS $$
  SELECT sha256(convert_to(E'antequem rounds\n' || left(origin, -length('/logs/_system')), 'UTF8')) FROM logs WHERE name = '_system'
$$;

CREATE FUNCTION log_of_head(heads bytea, index integer) RETURNS integer LANGUAGE sql IMMUTABLE AS
$$ SELECT ('x' || encode(substr(heads, 44 * index - 43, 4), 'hex'))::bit(32)::integer $$;

-- Each round with its leaf data in the order of the tree: the link, checkpoints of 73 bytes each, digests of 33 bytes each.
-- NULL: the leaves are missing. A log that is missing has zeros for its id. Heads beside the row are read once (`||`).
CREATE VIEW whole_rounds AS
  SELECT r.number, r.closed_at, r.previous_root, r.root, r.size, r.beacons,
         CASE WHEN r.heads IS NULL THEN p.link
              ELSE '\x80'::bytea || int8send(r.number) || int8send(r.closed_at)
                   || CASE WHEN r.number > 1 THEN (SELECT b.root FROM rounds b WHERE b.number = r.number - 1) ELSE first_previous_root() END
                   || r.link_beacons END AS link,
         CASE WHEN r.heads IS NULL THEN p.checkpoints
              ELSE (SELECT coalesce(string_agg('\x81'::bytea || coalesce((SELECT log_id FROM logs WHERE id = log_of_head(h.head, 1)),
                                                                         decode(repeat('00', 32), 'hex')) || substr(h.head, 5),
                                               ''::bytea ORDER BY h.n), '')
                    FROM (SELECT n, substr(w.heads, 44 * n - 43, 44) AS head
                          FROM (SELECT r.heads || ''::bytea AS heads OFFSET 0) AS w
                          CROSS JOIN LATERAL generate_series(1, length(w.heads) / 44) AS n OFFSET 0) AS h) END AS checkpoints,
         CASE WHEN r.heads IS NULL THEN p.digests ELSE r.digests END AS digests
  FROM rounds r LEFT JOIN packed_leaves p ON p.round = r.number AND r.heads IS NULL;

-- Each leaf, with the row that finds it by its log. Bytes behind the last whole leaf count as one.
CREATE OR REPLACE VIEW round_leaves AS
  SELECT f.round, f.index, f.leaf, r.log, r.size
  FROM (SELECT w.number AS round, n AS index,
               CASE WHEN n = 0 THEN coalesce(p.link, '')
                    WHEN n <= k.checkpoints THEN substr(p.checkpoints, 73 * n - 72, 73)
                    ELSE substr(p.digests, 33 * (n - k.checkpoints) - 32, 33) END AS leaf
        FROM whole_rounds w
        CROSS JOIN LATERAL (SELECT w.link, w.checkpoints, w.digests OFFSET 0) AS p
        CROSS JOIN LATERAL (SELECT (octet_length(p.checkpoints) + 72) / 73 AS checkpoints,
                                   (octet_length(p.digests) + 32) / 33 AS digests) AS k
        CROSS JOIN LATERAL generate_series(0, k.checkpoints + k.digests) AS n) AS f
  LEFT JOIN logs l ON l.log_id = substr(f.leaf, 2, 32) AND substr(f.leaf, 1, 1) = '\x81'
  LEFT JOIN round_logs r ON r.log = l.id AND r.size = ('x' || encode(substr(f.leaf, 34, 8), 'hex'))::bit(64)::bigint
                        AND r.round = f.round AND r.index = f.index;

CREATE OR REPLACE FUNCTION tell_round_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tell_webhooks('round.closed', NEW.closed_at, jsonb_build_object(
    'number', NEW.number, 'closedAt', NEW.closed_at, 'root', encode(NEW.root, 'hex'), 'size', NEW.size,
    'previousRoot', encode(coalesce(
      NEW.previous_root, (SELECT root FROM rounds WHERE number = NEW.number - 1), first_previous_root()), 'hex')));
  RETURN NULL;
END $$;
