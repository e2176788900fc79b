-- Digests taken in as an OpenTimestamps calendar, until a round has them among its leaves.
CREATE TABLE digests (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- SHA-256(digest ‖ nonce), which the leaf bears: what was stamped stays with the client.
  commitment bytea NOT NULL CHECK (length(commitment) = 32),
  taken_at   bigint NOT NULL
);
CREATE TRIGGER immutable BEFORE UPDATE ON digests FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE TRUNCATE ON digests FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- By leaf hash, which clients ask a calendar for: of leaves to come, and of leaves of rounds. Nothing but equality is ever
-- asked, for which an index of this kind is a third of the size.
CREATE INDEX digests_leaf_hash ON digests USING hash (sha256('\x0082'::bytea || commitment));
CREATE INDEX round_leaves_leaf_hash ON round_leaves USING hash (sha256('\x00'::bytea || leaf));
