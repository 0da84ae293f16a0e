-- Events, written in the transaction of the change they tell of, numbered per user by seq.
CREATE TABLE IF NOT EXISTS outbox (
  id           TEXT NOT NULL PRIMARY KEY,
  user_id      TEXT NOT NULL,
  seq          INTEGER NOT NULL,
  type         TEXT NOT NULL,
  data         TEXT NOT NULL,
  occurred_at  INTEGER NOT NULL,
  published_at INTEGER,
  UNIQUE (user_id, seq)
) STRICT;
CREATE INDEX outbox_unpublished ON outbox (published_at, id);
