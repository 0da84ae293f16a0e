-- The aliases of a user are looked for when the user is exported or deleted.
ALTER TABLE users
  ADD KEY users_merged_into (merged_into),
  ALGORITHM=INPLACE, LOCK=NONE;
