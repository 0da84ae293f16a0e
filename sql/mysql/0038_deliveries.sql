-- Events that a webhook did not take, and those of the same user that wait behind them. due_at is NULL while another
-- one is before it, and when it is dead: given up at dead_at.
CREATE TABLE IF NOT EXISTS deliveries (
  id         CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  webhook_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  event_id   CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id    CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq        BIGINT NOT NULL,
  attempts   INTEGER NOT NULL,
  first_at   BIGINT NOT NULL,
  due_at     BIGINT,
  dead_at    BIGINT,
  outcome    VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  UNIQUE KEY deliveries_event (webhook_id, event_id),
  KEY deliveries_user (webhook_id, user_id, seq),
  KEY deliveries_due (webhook_id, due_at),
  KEY deliveries_dead (dead_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
