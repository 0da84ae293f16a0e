-- Open sessions of a user, for their list and their cap, without reading those that ended.
ALTER TABLE sessions ADD INDEX sessions_open (user_id, ended_at, expires_at), ALGORITHM=INPLACE, LOCK=NONE;
