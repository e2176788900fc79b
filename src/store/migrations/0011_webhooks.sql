-- Webhooks. What they tell is written by triggers, in the transaction that made it so: whoever is killed when, no event is
-- lost and none tells of what did not happen.

CREATE TABLE webhooks (
  -- Its secret is derived from the seed, which no database holds, and from this.
  id           text PRIMARY KEY CHECK (id ~ '^wh_[0-9a-f]{16}$'),
  url          text NOT NULL,
  description  text NOT NULL,
  events       text[] NOT NULL CHECK (cardinality(events) > 0),
  created_at   bigint NOT NULL,
  -- The receiver said that it is gone: nothing is kept or sent for it until a replay.
  disabled_at  bigint,
  -- How often in a row it could not be reached, and until when it is left alone.
  failures     integer NOT NULL DEFAULT 0,
  paused_until bigint NOT NULL DEFAULT 0
);

CREATE TABLE webhook_events (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- What receivers know it by: numbers would come again in a database that was set back.
  message   uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  type      text NOT NULL,
  -- When it happened, as the service tells it.
  at        bigint NOT NULL,
  data      jsonb NOT NULL,
  stored_at bigint NOT NULL
);

CREATE TABLE webhook_deliveries (
  webhook    text NOT NULL REFERENCES webhooks ON DELETE CASCADE,
  event      bigint NOT NULL REFERENCES webhook_events ON DELETE CASCADE,
  status     text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'dead')),
  attempts   integer NOT NULL DEFAULT 0,
  -- Since when it is to be delivered: its first time, or that of the last replay.
  since      bigint NOT NULL,
  -- Not before; while an attempt is under way, when it counts as lost.
  due_at     bigint NOT NULL,
  -- HTTP status of the last answer, or why there was none.
  answered   integer,
  problem    text,
  updated_at bigint NOT NULL,
  PRIMARY KEY (webhook, event)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, due_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (webhook) WHERE status = 'dead';
CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event);

CREATE FUNCTION tell_webhooks(event_type text, happened_at bigint, facts jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  clock bigint := extract(epoch FROM clock_timestamp()) * 1000;
  stored bigint;
BEGIN
  -- Locked, so that one deleted meanwhile is passed over instead of failing what happened.
  PERFORM 1 FROM webhooks WHERE disabled_at IS NULL AND event_type = ANY (events) ORDER BY id FOR KEY SHARE;
  IF NOT FOUND THEN RETURN; END IF;
  INSERT INTO webhook_events (type, at, data, stored_at) VALUES (event_type, happened_at, facts, clock)
    RETURNING id INTO stored;
  INSERT INTO webhook_deliveries (webhook, event, since, due_at, updated_at)
    SELECT id, stored, clock, clock, clock FROM webhooks WHERE disabled_at IS NULL AND event_type = ANY (events)
    ORDER BY id FOR KEY SHARE;
  PERFORM pg_notify('antequem_progress', '');
END $$;

CREATE FUNCTION tell_round_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tell_webhooks('round.closed', NEW.closed_at, jsonb_build_object(
    'number', NEW.number, 'closedAt', NEW.closed_at, 'root', encode(NEW.root, 'hex'),
    'previousRoot', encode(NEW.previous_root, 'hex'), 'size', NEW.size));
  RETURN NULL;
END $$;
CREATE TRIGGER webhooks AFTER INSERT ON rounds FOR EACH ROW EXECUTE FUNCTION tell_round_closed();

CREATE FUNCTION anchor_facts(of_target text, of_round bigint, of_transaction bytea, number bigint, hash bytea, at bigint)
RETURNS jsonb LANGUAGE sql STABLE AS $$
  -- EVM values bear 0x, those of Bitcoin do not.
  SELECT jsonb_build_object(
    'type', t.kind, 'round', r.number, 'root', encode(r.root, 'hex'), 'target', t.name, 'chain', t.chain,
    'contract', t.contract, 'transaction', '0x' || encode(of_transaction, 'hex'),
    'block', jsonb_build_object('number', $4, 'time', $6,
      'hash', CASE t.kind WHEN 'evm' THEN '0x' ELSE '' END || encode($5, 'hex')))
  FROM targets t, rounds r WHERE t.name = of_target AND r.number = of_round
$$;

CREATE FUNCTION tell_anchor_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tell_webhooks('anchor.' || NEW.status, NEW.updated_at, anchor_facts(
    NEW.target, NEW.round, NEW.transaction, NEW.block_number, NEW.block_hash, NEW.block_time));
  RETURN NULL;
END $$;
CREATE TRIGGER webhooks AFTER UPDATE ON anchors FOR EACH ROW
  WHEN (NEW.status IN ('included', 'finalized')
        AND (NEW.status, NEW.block_hash) IS DISTINCT FROM (OLD.status, OLD.block_hash))
  EXECUTE FUNCTION tell_anchor_moved();

CREATE FUNCTION tell_anchor_reorganised() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tell_webhooks('anchor.reorganised', NEW.at, anchor_facts(
    NEW.target, NEW.round, NEW.transaction, NEW.block_number, NEW.block_hash, NEW.block_time));
  RETURN NULL;
END $$;
CREATE TRIGGER webhooks AFTER INSERT ON anchor_history FOR EACH ROW
  WHEN (NEW.event = 'reorganized' AND NEW.block_hash IS NOT NULL)
  EXECUTE FUNCTION tell_anchor_reorganised();

CREATE FUNCTION tell_anchor_stopped() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tell_webhooks('anchor.stopped', NEW.stopped_at, jsonb_build_object(
    'target', NEW.name, 'chain', NEW.chain, 'code', NEW.stop_code, 'reason', NEW.stop_reason));
  RETURN NULL;
END $$;
CREATE TRIGGER webhooks AFTER UPDATE ON targets FOR EACH ROW
  WHEN (NEW.stopped_at IS NOT NULL AND OLD.stop_code IS DISTINCT FROM NEW.stop_code)
  EXECUTE FUNCTION tell_anchor_stopped();
