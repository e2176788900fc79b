-- Keys of logs come and go while many processes sign with them. All they look at from time to time is this one number,
-- which goes up with every change; whoever changes keys holds its row.
CREATE TABLE log_key_changes (
  one     boolean PRIMARY KEY DEFAULT true CHECK (one),
  changes bigint NOT NULL
);
INSERT INTO log_key_changes (changes) VALUES (0);

CREATE FUNCTION guard_log_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR (NEW.log, NEW.number, NEW.public_key, NEW.created_at)
        IS DISTINCT FROM (OLD.log, OLD.number, OLD.public_key, OLD.created_at)
     OR OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL THEN
    RAISE EXCEPTION 'a key of a log is retired, once, and never changed or deleted' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON log_keys FOR EACH ROW EXECUTE FUNCTION guard_log_key();
CREATE TRIGGER kept BEFORE TRUNCATE ON log_keys FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A log that does not grow has its newest checkpoint signed by the keys that come later, too: lines are added behind
-- those that are there, and nothing else of a checkpoint changes.
CREATE FUNCTION guard_checkpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE'
     OR (NEW.log, NEW.size, NEW.root, NEW.signed_at) IS DISTINCT FROM (OLD.log, OLD.size, OLD.root, OLD.signed_at)
     OR NEW.note = OLD.note OR NOT starts_with(NEW.note, OLD.note) THEN
    RAISE EXCEPTION 'checkpoints are immutable but for signatures added' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
DROP TRIGGER immutable ON checkpoints;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION guard_checkpoint();
