-- The feed of ended sessions: every process reads it by time, so that an access token dies with its session.
CREATE TABLE IF NOT EXISTS revocations (
  session_id TEXT NOT NULL PRIMARY KEY,
  revoked_at INTEGER NOT NULL
) STRICT;
CREATE INDEX revocations_revoked_at ON revocations (revoked_at);
