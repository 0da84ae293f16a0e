-- Who a user is to one WeChat app: (appid, openid) as WeChat's reply gave it. Compared byte by byte, for oABC is not oabc.
-- The newest and the previous session_key are kept sealed, so that a failed decryption can be explained; the mark tells
-- whether a key is a new one without unsealing it.
CREATE TABLE IF NOT EXISTS identities (
  appid                VARBINARY(32) NOT NULL,
  openid               VARBINARY(64) NOT NULL,
  kind                 VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id              CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  session_key          VARBINARY(255),
  session_key_mark     VARBINARY(32),
  session_key_at       BIGINT,
  previous_session_key VARBINARY(255),
  bound_at             BIGINT NOT NULL,
  PRIMARY KEY (appid, openid),
  KEY identities_user_id (user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
