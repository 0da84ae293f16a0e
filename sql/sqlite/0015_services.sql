-- Services that may ask about tokens and users. The secret is sealed and not hashed: requests signed with it by HMAC
-- need it to be checked. scopes is a JSON list.
CREATE TABLE IF NOT EXISTS services (
  id         TEXT NOT NULL PRIMARY KEY,
  name       TEXT NOT NULL,
  sealed     TEXT NOT NULL,
  scopes     TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (name)
) STRICT;
