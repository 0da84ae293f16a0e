-- The order in which events are published, and read again afterwards: those of a user by seq.
CREATE INDEX IF NOT EXISTS outbox_order ON outbox (published_at, user_id, seq);
