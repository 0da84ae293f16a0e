-- Who a user is to one WeChat app: (appid, openid) as WeChat's reply gave it. Compared byte by byte, for oABC is not oabc.
-- The newest and the previous session_key are kept sealed, so that a failed decryption can be explained; the mark tells
-- whether a key is a new one without unsealing it.
CREATE TABLE IF NOT EXISTS identities (
  appid                TEXT NOT NULL,
  openid               TEXT NOT NULL,
  kind                 TEXT NOT NULL,
  user_id              TEXT NOT NULL,
  session_key          TEXT,
  session_key_mark     TEXT,
  session_key_at       INTEGER,
  previous_session_key TEXT,
  bound_at             INTEGER NOT NULL,
  PRIMARY KEY (appid, openid)
) STRICT;
CREATE INDEX identities_user_id ON identities (user_id);
