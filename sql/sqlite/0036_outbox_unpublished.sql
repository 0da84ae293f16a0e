-- outbox_order does what this index did.
DROP INDEX IF EXISTS outbox_unpublished;
