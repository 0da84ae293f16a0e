-- One person across the apps of one Open Platform account; a user may hold several, one per account.
CREATE TABLE IF NOT EXISTS unionids (
  unionid  TEXT NOT NULL PRIMARY KEY,
  user_id  TEXT NOT NULL,
  bound_at INTEGER NOT NULL
) STRICT;
CREATE INDEX unionids_user_id ON unionids (user_id);
