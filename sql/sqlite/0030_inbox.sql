-- Callbacks as they were accepted, before anything is done about them. (source, dedup_key) shows a repeat even when all but
-- the database is lost, digest whether it has the same content. body is sealed, and removed once the work is done; answer
-- is what the sender was told. due_at (ms) is when somebody may next take a waiting row; who takes it moves it on.
CREATE TABLE IF NOT EXISTS inbox (
  id          TEXT NOT NULL PRIMARY KEY,
  source      TEXT NOT NULL,
  dedup_key   TEXT NOT NULL,
  digest      TEXT NOT NULL,
  kind        TEXT NOT NULL,
  body        TEXT,
  answer      TEXT NOT NULL,
  state       TEXT NOT NULL,
  attempts    INTEGER NOT NULL,
  due_at      INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  ended_at    INTEGER,
  cause       TEXT NOT NULL,
  UNIQUE (source, dedup_key)
) STRICT;
CREATE INDEX inbox_due ON inbox (state, due_at);
CREATE INDEX inbox_received_at ON inbox (received_at);
