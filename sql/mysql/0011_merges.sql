-- What a merge of two users moved and filled, so that it can be undone within 30 days. undo_data is JSON; the audit names the
-- merge and holds none of it.
CREATE TABLE IF NOT EXISTS merges (
  id          CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  survivor_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  merged_id   CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  merged_at   BIGINT NOT NULL,
  undo_data   MEDIUMTEXT NOT NULL,
  KEY merges_merged_id (merged_id),
  KEY merges_survivor_id (survivor_id),
  KEY merges_merged_at (merged_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
