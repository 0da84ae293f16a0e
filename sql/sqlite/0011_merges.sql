-- What a merge of two users moved and filled, so that it can be undone within 30 days. undo_data is JSON; the audit names the
-- merge and holds none of it.
CREATE TABLE IF NOT EXISTS merges (
  id          TEXT NOT NULL PRIMARY KEY,
  survivor_id TEXT NOT NULL,
  merged_id   TEXT NOT NULL,
  merged_at   INTEGER NOT NULL,
  undo_data   TEXT NOT NULL
) STRICT;
CREATE INDEX merges_merged_id ON merges (merged_id);
CREATE INDEX merges_survivor_id ON merges (survivor_id);
CREATE INDEX merges_merged_at ON merges (merged_at);
