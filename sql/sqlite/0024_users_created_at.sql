-- Users by age: for kaimen users list and the new users in kaimen stats.
CREATE INDEX IF NOT EXISTS users_created_at ON users (created_at);
