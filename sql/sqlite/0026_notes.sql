-- Small facts that one run leaves for the next: keyed hashes of the settings, the cost of imported bcrypt hashes.
CREATE TABLE IF NOT EXISTS notes (
  name       TEXT NOT NULL PRIMARY KEY,
  value      TEXT NOT NULL,
  written_at INTEGER NOT NULL
) STRICT;
