-- outbox_order does what this index did.
ALTER TABLE outbox DROP INDEX outbox_unpublished, ALGORITHM=INPLACE, LOCK=NONE;
