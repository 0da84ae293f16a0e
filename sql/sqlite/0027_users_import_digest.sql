-- A keyed hash of the line a user was imported from: a line that did not change since is skipped by the next import.
ALTER TABLE users ADD COLUMN import_digest TEXT;
