-- Devices that partners bound to users, each to one at a time.
CREATE TABLE IF NOT EXISTS devices (
  id        CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  user_id   CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  partner   VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  device_id VARBINARY(128) NOT NULL,
  name      VARCHAR(64) NOT NULL,
  bound_at  BIGINT NOT NULL,
  UNIQUE KEY devices_device (partner, device_id),
  KEY devices_user (user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
