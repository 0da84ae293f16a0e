-- Events, written in the transaction of the change they tell of, numbered per user by seq.
CREATE TABLE IF NOT EXISTS outbox (
  id           CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  user_id      CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq          BIGINT NOT NULL,
  type         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  data         MEDIUMTEXT NOT NULL,
  occurred_at  BIGINT NOT NULL,
  published_at BIGINT,
  UNIQUE KEY outbox_user_seq (user_id, seq),
  KEY outbox_unpublished (published_at, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
