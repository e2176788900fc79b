-- Whether the name of a log and its keys are shown to anybody, in lists that need no key. `_system` tells of each change.
ALTER TABLE logs ADD COLUMN listed boolean NOT NULL DEFAULT false;
CREATE INDEX logs_listed ON logs (name) WHERE listed;
