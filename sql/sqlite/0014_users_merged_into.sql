-- The aliases of a user are looked for when the user is exported or deleted.
CREATE INDEX IF NOT EXISTS users_merged_into ON users (merged_into);
