-- A session is what a refresh token stands for. The database keeps the generation and no secret: a stolen copy yields
-- no token. refresh_key names the key whose HMAC the token carries.
CREATE TABLE IF NOT EXISTS sessions (
  id            CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  user_id       CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  appid         VARBINARY(32),
  openid        VARBINARY(64),
  generation    INT NOT NULL,
  refresh_key   CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  auth_method   VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  auth_at       BIGINT NOT NULL,
  created_at    BIGINT NOT NULL,
  rotated_at    BIGINT NOT NULL,
  expires_at    BIGINT NOT NULL,
  ends_at       BIGINT NOT NULL,
  ended_at      BIGINT,
  end_reason    VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin,
  device        VARCHAR(255) NOT NULL,
  address       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  KEY sessions_user_id (user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
