-- Why a session ended goes with the feed, so that an open page can be told.
ALTER TABLE revocations ADD COLUMN reason VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ALGORITHM=INSTANT, LOCK=DEFAULT;
