-- The index of 0020 begins with user_id too: this one was written at each login and read by nobody.
ALTER TABLE sessions DROP INDEX sessions_user_id, ALGORITHM=INPLACE, LOCK=NONE;
