-- The devices a user was seen on (short hashes, the newest last): a login from another one is told of. Beside the user,
-- because a login reads and writes that row anyway.
ALTER TABLE users ADD COLUMN devices VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  ALGORITHM=INSTANT, LOCK=DEFAULT;
