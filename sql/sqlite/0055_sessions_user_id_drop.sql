-- The index of 0020 begins with user_id too: this one was written at each login and read by nobody.
DROP INDEX IF EXISTS sessions_user_id;
