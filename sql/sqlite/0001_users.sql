-- A user: what every way of logging in leads to. seq numbers the user's events and is raised under the row's lock.
-- Times are milliseconds since 1970 UTC. *_key columns are folded for comparing; phone_index is a keyed hash (blind index).
CREATE TABLE IF NOT EXISTS users (
  id                  TEXT NOT NULL PRIMARY KEY,
  username            TEXT,
  username_key        TEXT,
  password_hash       TEXT,
  password_changed_at INTEGER,
  nickname            TEXT NOT NULL DEFAULT '',
  avatar_url          TEXT NOT NULL DEFAULT '',
  phone_sealed        TEXT,
  phone_index         TEXT,
  email               TEXT,
  email_key           TEXT,
  external_id         TEXT,
  roles               TEXT NOT NULL DEFAULT '[]',
  disabled_at         INTEGER,
  merged_into         TEXT,
  seq                 INTEGER NOT NULL DEFAULT 0,
  created_at          INTEGER NOT NULL,
  updated_at          INTEGER NOT NULL,
  last_login_at       INTEGER,
  UNIQUE (username_key),
  UNIQUE (email_key),
  UNIQUE (external_id)
) STRICT;
CREATE INDEX users_phone_index ON users (phone_index);
