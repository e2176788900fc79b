-- Turns are taken for other work than that of targets, too: the archive has one, whose name no target can have.
ALTER TABLE target_turns DROP CONSTRAINT target_turns_target_fkey;
