-- Avatars that users uploaded: whose each file is, and from when (ms) on it is to be removed; NULL while it is in use.
CREATE TABLE IF NOT EXISTS avatars (
  name       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  user_id    CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at BIGINT NOT NULL,
  drop_at    BIGINT NULL,
  KEY avatars_user_id (user_id),
  KEY avatars_drop_at (drop_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
