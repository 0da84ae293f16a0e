-- When a browser's session was last seen: its cookie is renewed without a rotation, so rotated_at must not move (it
-- times the grace window of refresh tokens).
ALTER TABLE sessions ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
