-- A block goes only in a transaction that leaves another one which covers it: same times, nothing unerased. As before, with
-- the times compared all at once: each by itself took most of the time that a commit of single entries took.
CREATE OR REPLACE FUNCTION demand_cover() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  -- A u64 for each entry.
  old_times bytea := coalesce(OLD.times, decode(repeat(lpad(to_hex(OLD.received_at), 16, '0'), OLD.count), 'hex'));
BEGIN
  IF NOT EXISTS (
    SELECT FROM blocks b
    WHERE b.log = OLD.log AND b.first <= OLD.first AND b.first > OLD.first - 256 AND b.first + b.count >= OLD.first + OLD.count
      AND CASE WHEN b.times IS NULL THEN decode(repeat(lpad(to_hex(b.received_at), 16, '0'), OLD.count), 'hex') = old_times
               ELSE substring(b.times FROM (8 * (OLD.first - b.first) + 1)::int FOR 8 * OLD.count) = old_times END
      AND (OLD.erased = '{}'
           OR ARRAY(SELECT e + (OLD.first - b.first)::int FROM unnest(OLD.erased) AS e)::smallint[] <@ b.erased)) THEN
    RAISE EXCEPTION 'a block of entries is only replaced by one that covers it' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
