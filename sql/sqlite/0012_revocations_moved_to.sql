-- A merge moves sessions to another user: the feed names that user, and tokens that still name the old one have expired.
ALTER TABLE revocations ADD COLUMN moved_to TEXT;
