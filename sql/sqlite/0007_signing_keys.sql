-- Keys that sign access tokens and refresh tokens, sealed under the master key. (purpose, generation) is unique, so that
-- of two first starts at once one makes the key and both use it.
CREATE TABLE IF NOT EXISTS signing_keys (
  id          TEXT NOT NULL PRIMARY KEY,
  purpose     TEXT NOT NULL,
  generation  INTEGER NOT NULL,
  algorithm   TEXT NOT NULL,
  sealed      TEXT NOT NULL,
  public_jwk  TEXT,
  created_at  INTEGER NOT NULL,
  signs_from  INTEGER NOT NULL,
  retired_at  INTEGER,
  UNIQUE (purpose, generation)
) STRICT;
