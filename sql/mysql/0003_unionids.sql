-- One person across the apps of one Open Platform account; a user may hold several, one per account.
CREATE TABLE IF NOT EXISTS unionids (
  unionid  VARBINARY(64) NOT NULL PRIMARY KEY,
  user_id  CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  bound_at BIGINT NOT NULL,
  KEY unionids_user_id (user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
