-- Which unionid came with an identity: when the last identity of a unionid is unbound, the unionid goes with it.
ALTER TABLE identities
  ADD COLUMN unionid VARBINARY(64),
  ALGORITHM=INPLACE, LOCK=NONE;
