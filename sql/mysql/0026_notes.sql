-- Small facts that one run leaves for the next: keyed hashes of the settings, the cost of imported bcrypt hashes.
CREATE TABLE IF NOT EXISTS notes (
  name       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  value      TEXT NOT NULL,
  written_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
