-- Open sessions of a user, for their list and their cap, without reading those that ended.
CREATE INDEX IF NOT EXISTS sessions_open ON sessions (user_id, ended_at, expires_at);
