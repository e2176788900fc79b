-- Whether a log signs its checkpoints by ML-DSA-44 beside Ed25519. `_system` tells of each change, with the keys.
ALTER TABLE logs ADD COLUMN ml_dsa boolean NOT NULL DEFAULT false;
