-- Why a session ended goes with the feed, so that an open page can be told.
ALTER TABLE revocations ADD COLUMN reason TEXT NOT NULL DEFAULT '';
