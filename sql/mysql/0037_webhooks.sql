-- Where events are posted to. The secret is sealed and not hashed: it signs. The one before signs too until
-- previous_until (ms). types is a JSON list, empty for all. reached_* is the last published event that was dealt with.
CREATE TABLE IF NOT EXISTS webhooks (
  id              CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  name            VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  url             VARCHAR(2000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  sealed          VARCHAR(1000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  previous_sealed VARCHAR(1000) CHARACTER SET ascii COLLATE ascii_bin,
  previous_until  BIGINT NOT NULL DEFAULT 0,
  types           VARCHAR(1000) NOT NULL,
  reached_at      BIGINT NOT NULL,
  reached_user    CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reached_seq     BIGINT NOT NULL,
  outcome         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  outcome_at      BIGINT,
  created_at      BIGINT NOT NULL,
  UNIQUE KEY webhooks_name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
