-- Avatars that users uploaded: whose each file is, and from when (ms) on it is to be removed; NULL while it is in use.
CREATE TABLE IF NOT EXISTS avatars (
  name       TEXT NOT NULL PRIMARY KEY,
  user_id    TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  drop_at    INTEGER NULL
) STRICT;
CREATE INDEX avatars_user_id ON avatars (user_id);
CREATE INDEX avatars_drop_at ON avatars (drop_at);
