-- Where events are posted to. The secret is sealed and not hashed: it signs. The one before signs too until
-- previous_until (ms). types is a JSON list, empty for all. reached_* is the last published event that was dealt with.
CREATE TABLE IF NOT EXISTS webhooks (
  id              TEXT NOT NULL PRIMARY KEY,
  name            TEXT NOT NULL UNIQUE,
  url             TEXT NOT NULL,
  sealed          TEXT NOT NULL,
  previous_sealed TEXT,
  previous_until  INTEGER NOT NULL DEFAULT 0,
  types           TEXT NOT NULL,
  reached_at      INTEGER NOT NULL,
  reached_user    TEXT NOT NULL,
  reached_seq     INTEGER NOT NULL,
  outcome         TEXT NOT NULL DEFAULT '',
  outcome_at      INTEGER,
  created_at      INTEGER NOT NULL
) STRICT;
