-- What most commits of an append do, in one statement. The service has prepared it for the head that it committed last. Where
-- the log has another head, or the clocks of service and database disagree, nothing is written, and the answer is false.
-- Each statement in here sees what was committed before it began, so that the head is read under the lock.

CREATE FUNCTION continue_log(
  to_log integer, known_size bigint, known_root bytea,
  -- Milliseconds: how long the lock is waited for, and two readings of the service's clock, one of which has to agree.
  lock_patience_ms integer, stamped_ms bigint, shown_ms bigint, clock_limit_ms integer,
  -- The new block begins at the known size.
  new_count integer, new_received_at bigint, new_leaves bytea, new_bytes integer, new_content bytea, new_prefixes bytea,
  new_root bytea, new_last_leaf bytea
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  now_ms constant double precision := extract(epoch FROM clock_timestamp()) * 1000;
  head record;
BEGIN
  IF least(abs(now_ms - stamped_ms), abs(now_ms - shown_ms)) > clock_limit_ms THEN RETURN false; END IF;
  PERFORM set_config('lock_timeout', lock_patience_ms::text, true);
  PERFORM FROM logs WHERE id = to_log FOR NO KEY UPDATE;
  SELECT size, root INTO head FROM log_heads WHERE log = to_log ORDER BY size DESC LIMIT 1;
  IF (head.size, head.root) IS DISTINCT FROM (known_size, known_root) THEN RETURN false; END IF;
  INSERT INTO blocks (log, first, count, received_at, leaves, bytes, content)
  VALUES (to_log, known_size, new_count, new_received_at, new_leaves, new_bytes, new_content);
  INSERT INTO digest_batches (log, first, prefixes) VALUES (to_log, known_size, new_prefixes);
  INSERT INTO log_heads (log, size, root, last_leaf, last_received_at)
  VALUES (to_log, known_size + new_count, new_root, new_last_leaf, new_received_at);
  RETURN true;
END $$;

-- The same for commits that complete tiles or add several blocks, as batches do. Blocks of the open tile that were put together
-- go, unless an entry of theirs was erased since they were read: then nothing is written either.

CREATE FUNCTION complete_tiles(
  to_log integer, known_size bigint, known_root bytea,
  lock_patience_ms integer, stamped_ms bigint, shown_ms bigint, clock_limit_ms integer,
  -- Blocks: their bytes one after the other, and of each where its bytes begin.
  block_bytes bytea, firsts bigint[], counts integer[], received_at_ms bigint[], times_lengths integer[],
  leaves_lengths integer[], erased_positions text[], payload_bytes integer[], content_lengths integer[], begins integer[],
  -- Which blocks they replace, and how many entries of those are erased.
  replaced bigint[], replaced_erased integer,
  tile_levels smallint[], tile_indices bigint[], tile_roots bytea, tile_hashes bytea,
  new_prefixes bytea, new_size bigint, new_root bytea, new_last_leaf bytea, new_last_received_at bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  now_ms constant double precision := extract(epoch FROM clock_timestamp()) * 1000;
  head record;
BEGIN
  IF least(abs(now_ms - stamped_ms), abs(now_ms - shown_ms)) > clock_limit_ms THEN RETURN false; END IF;
  PERFORM set_config('lock_timeout', lock_patience_ms::text, true);
  PERFORM FROM logs WHERE id = to_log FOR NO KEY UPDATE;
  SELECT size, root INTO head FROM log_heads WHERE log = to_log ORDER BY size DESC LIMIT 1;
  IF (head.size, head.root) IS DISTINCT FROM (known_size, known_root) THEN RETURN false; END IF;
  IF cardinality(replaced) > 0 THEN
    IF (SELECT sum(cardinality(erased)) FROM blocks WHERE log = to_log AND first = ANY (replaced))
       IS DISTINCT FROM replaced_erased THEN
      RETURN false;
    END IF;
    DELETE FROM blocks WHERE log = to_log AND first = ANY (replaced);
  END IF;
  INSERT INTO blocks (log, first, count, received_at, times, leaves, erased, bytes, content)
  SELECT to_log, b.first, b.count, b.received_at,
         CASE WHEN b.times > 0 THEN substring(block_bytes FROM b.at FOR b.times) END,
         CASE WHEN b.leaves > 0 THEN substring(block_bytes FROM b.at + b.times FOR b.leaves) END,
         b.erased::smallint[], b.bytes, substring(block_bytes FROM b.at + b.times + b.leaves FOR b.content)
  FROM unnest(firsts, counts, received_at_ms, times_lengths, leaves_lengths, erased_positions, payload_bytes, content_lengths, begins)
    AS b (first, count, received_at, times, leaves, erased, bytes, content, at);
  INSERT INTO tiles (log, level, index, root, hashes)
  SELECT to_log, t.level, t.index, substring(tile_roots FROM t.n::int * 32 - 31 FOR 32),
         substring(tile_hashes FROM t.n::int * 8192 - 8191 FOR 8192)
  FROM unnest(tile_levels, tile_indices) WITH ORDINALITY AS t (level, index, n);
  INSERT INTO digest_batches (log, first, prefixes) VALUES (to_log, known_size, new_prefixes);
  INSERT INTO log_heads (log, size, root, last_leaf, last_received_at)
  VALUES (to_log, new_size, new_root, new_last_leaf, new_last_received_at);
  IF cardinality(tile_levels) > 0 THEN
    DELETE FROM log_heads WHERE log = to_log AND size >= known_size - known_size % 256 AND size < new_size;
  END IF;
  RETURN true;
END $$;
