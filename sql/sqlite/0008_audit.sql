-- Who did what to whom, when, from where and how. Sign-ins are not repeated here: the sessions table tells them.
-- actor is user:<id>, service:<name>, cli:<system user> or system; detail is JSON without secrets.
CREATE TABLE IF NOT EXISTS audit (
  id      TEXT NOT NULL PRIMARY KEY,
  at      INTEGER NOT NULL,
  action  TEXT NOT NULL,
  actor   TEXT NOT NULL,
  user_id TEXT,
  address TEXT NOT NULL,
  detail  TEXT NOT NULL
) STRICT;
CREATE INDEX audit_user_id ON audit (user_id, at);
CREATE INDEX audit_at ON audit (at);
