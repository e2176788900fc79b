-- The event of a round names the root of the round before, which its row does not have any more.
CREATE OR REPLACE FUNCTION tell_round_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tell_webhooks('round.closed', NEW.closed_at, jsonb_build_object(
    'number', NEW.number, 'closedAt', NEW.closed_at, 'root', encode(NEW.root, 'hex'), 'size', NEW.size,
    'previousRoot', encode(coalesce(
      NEW.previous_root,
      (SELECT root FROM rounds WHERE number = NEW.number - 1),
      -- Of the first round: by the origin of the service, which that of _system begins with.
      (SELECT sha256(convert_to(E'antequem rounds\n' || left(origin, -length('/logs/_system')), 'UTF8'))
       FROM logs WHERE name = '_system')), 'hex')));
  RETURN NULL;
END $$;
