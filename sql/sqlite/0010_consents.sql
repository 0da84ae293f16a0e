-- What a user agreed to or refused, by policy and version, with its time and address: the proof that consent was given.
CREATE TABLE IF NOT EXISTS consents (
  id       TEXT NOT NULL PRIMARY KEY,
  user_id  TEXT NOT NULL,
  policy   TEXT NOT NULL,
  version  TEXT NOT NULL,
  accepted INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  address  TEXT NOT NULL
) STRICT;
CREATE INDEX consents_user_id ON consents (user_id, at);
