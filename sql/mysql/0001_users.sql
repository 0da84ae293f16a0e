-- A user: what every way of logging in leads to. seq numbers the user's events and is raised under the row's lock.
-- Times are milliseconds since 1970 UTC. *_key columns are folded for comparing; phone_index is a keyed hash (blind index).
CREATE TABLE IF NOT EXISTS users (
  id                  CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  username            VARCHAR(20),
  username_key        VARBINARY(20),
  password_hash       VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin,
  password_changed_at BIGINT,
  nickname            VARCHAR(64) NOT NULL DEFAULT '',
  avatar_url          VARCHAR(1024) NOT NULL DEFAULT '',
  phone_sealed        VARBINARY(255),
  phone_index         VARBINARY(64),
  email               VARCHAR(254),
  email_key           VARBINARY(254),
  external_id         VARBINARY(128),
  roles               VARCHAR(1000) NOT NULL DEFAULT '[]',
  disabled_at         BIGINT,
  merged_into         CHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
  seq                 BIGINT NOT NULL DEFAULT 0,
  created_at          BIGINT NOT NULL,
  updated_at          BIGINT NOT NULL,
  last_login_at       BIGINT,
  UNIQUE KEY users_username_key (username_key),
  UNIQUE KEY users_email_key (email_key),
  UNIQUE KEY users_external_id (external_id),
  KEY users_phone_index (phone_index)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
