-- Work that one process at a time does, such as pruning: who holds it, and until when (ms) unless it is renewed.
CREATE TABLE IF NOT EXISTS leases (
  name       TEXT NOT NULL PRIMARY KEY,
  holder     TEXT NOT NULL,
  held_until INTEGER NOT NULL
) STRICT;
