-- Events that a webhook did not take, and those of the same user that wait behind them. due_at is NULL while another
-- one is before it, and when it is dead: given up at dead_at.
CREATE TABLE IF NOT EXISTS deliveries (
  id         TEXT NOT NULL PRIMARY KEY,
  webhook_id TEXT NOT NULL,
  event_id   TEXT NOT NULL,
  user_id    TEXT NOT NULL,
  seq        INTEGER NOT NULL,
  attempts   INTEGER NOT NULL,
  first_at   INTEGER NOT NULL,
  due_at     INTEGER,
  dead_at    INTEGER,
  outcome    TEXT NOT NULL DEFAULT '',
  UNIQUE (webhook_id, event_id)
) STRICT;
CREATE INDEX deliveries_user ON deliveries (webhook_id, user_id, seq);
CREATE INDEX deliveries_due ON deliveries (webhook_id, due_at);
CREATE INDEX deliveries_dead ON deliveries (dead_at);
