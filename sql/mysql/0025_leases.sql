-- Work that one process at a time does, such as pruning: who holds it, and until when (ms) unless it is renewed.
CREATE TABLE IF NOT EXISTS leases (
  name       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  holder     CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  held_until BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
