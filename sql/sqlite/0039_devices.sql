-- Devices that partners bound to users, each to one at a time.
CREATE TABLE IF NOT EXISTS devices (
  id        TEXT NOT NULL PRIMARY KEY,
  user_id   TEXT NOT NULL,
  partner   TEXT NOT NULL,
  device_id TEXT NOT NULL,
  name      TEXT NOT NULL,
  bound_at  INTEGER NOT NULL,
  UNIQUE (partner, device_id)
) STRICT;
CREATE INDEX devices_user ON devices (user_id);
