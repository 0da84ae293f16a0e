-- Callbacks as they were accepted, before anything is done about them. (source, dedup_key) shows a repeat even when all but
-- the database is lost, digest whether it has the same content. body is sealed, and removed once the work is done; answer
-- is what the sender was told. due_at (ms) is when somebody may next take a waiting row; who takes it moves it on.
CREATE TABLE IF NOT EXISTS inbox (
  id          CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  source      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  dedup_key   VARBINARY(64) NOT NULL,
  digest      VARBINARY(64) NOT NULL,
  kind        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  body        MEDIUMTEXT,
  answer      VARCHAR(1000) NOT NULL,
  state       VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  attempts    INT NOT NULL,
  due_at      BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  ended_at    BIGINT,
  cause       VARCHAR(255) NOT NULL,
  UNIQUE KEY inbox_dedup (source, dedup_key),
  KEY inbox_due (state, due_at),
  KEY inbox_received_at (received_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
