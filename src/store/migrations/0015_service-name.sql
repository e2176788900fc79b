-- The name of this service among others on the same server: antequem-<first 16 hex digits of SHA-256(ORIGIN)>. NULL
-- before the service has made its log _system.
CREATE FUNCTION service_name() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT 'antequem-' || left(encode(sha256(convert_to(left(origin, -length('/logs/_system')), 'UTF8')), 'hex'), 16)
  FROM logs WHERE name = '_system'
$$;

-- The channel is the service's own: others on the same database are not woken.
CREATE FUNCTION notify_service() RETURNS void LANGUAGE sql AS $$
  SELECT pg_notify(service_name(), '') WHERE service_name() IS NOT NULL
$$;

CREATE OR REPLACE FUNCTION announce_progress() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM notify_service();
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION tell_webhooks(event_type text, happened_at bigint, facts jsonb) RETURNS void LANGUAGE plpgsql AS $$
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
  PERFORM notify_service();
END $$;
