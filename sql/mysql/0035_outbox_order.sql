-- The order in which events are published, and read again afterwards: those of a user by seq.
ALTER TABLE outbox ADD INDEX outbox_order (published_at, user_id, seq), ALGORITHM=INPLACE, LOCK=NONE;
