-- A session is what a refresh token stands for. The database keeps the generation and no secret: a stolen copy yields
-- no token. refresh_key names the key whose HMAC the token carries.
CREATE TABLE IF NOT EXISTS sessions (
  id            TEXT NOT NULL PRIMARY KEY,
  user_id       TEXT NOT NULL,
  appid         TEXT,
  openid        TEXT,
  generation    INTEGER NOT NULL,
  refresh_key   TEXT NOT NULL,
  auth_method   TEXT NOT NULL,
  auth_at       INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  rotated_at    INTEGER NOT NULL,
  expires_at    INTEGER NOT NULL,
  ends_at       INTEGER NOT NULL,
  ended_at      INTEGER,
  end_reason    TEXT,
  device        TEXT NOT NULL,
  address       TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_user_id ON sessions (user_id);
