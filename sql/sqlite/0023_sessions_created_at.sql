-- Sessions by the time of their sign-in: for kaimen audit, kaimen stats, and for pruning those that ended long ago.
CREATE INDEX IF NOT EXISTS sessions_created_at ON sessions (created_at);
