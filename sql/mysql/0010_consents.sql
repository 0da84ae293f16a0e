-- What a user agreed to or refused, by policy and version, with its time and address: the proof that consent was given.
CREATE TABLE IF NOT EXISTS consents (
  id       CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  user_id  CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  policy   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  version  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  accepted SMALLINT NOT NULL,
  at       BIGINT NOT NULL,
  address  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  KEY consents_user_id (user_id, at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
