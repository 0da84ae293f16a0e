-- The devices a user was seen on (short hashes, the newest last): a login from another one is told of. Beside the user,
-- because a login reads and writes that row anyway.
ALTER TABLE users ADD COLUMN devices TEXT NOT NULL DEFAULT '';
