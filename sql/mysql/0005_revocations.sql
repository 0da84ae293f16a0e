-- The feed of ended sessions: every process reads it by time, so that an access token dies with its session.
CREATE TABLE IF NOT EXISTS revocations (
  session_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  revoked_at BIGINT NOT NULL,
  KEY revocations_revoked_at (revoked_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
