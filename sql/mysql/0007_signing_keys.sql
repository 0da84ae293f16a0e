-- Keys that sign access tokens and refresh tokens, sealed under the master key. (purpose, generation) is unique, so that
-- of two first starts at once one makes the key and both use it.
CREATE TABLE IF NOT EXISTS signing_keys (
  id          CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  purpose     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  generation  INT NOT NULL,
  algorithm   VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  sealed      VARCHAR(4000) NOT NULL,
  public_jwk  VARCHAR(4000),
  created_at  BIGINT NOT NULL,
  signs_from  BIGINT NOT NULL,
  retired_at  BIGINT,
  UNIQUE KEY signing_keys_purpose (purpose, generation)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
