-- Services that may ask about tokens and users. The secret is sealed and not hashed: requests signed with it by HMAC
-- need it to be checked. scopes is a JSON list.
CREATE TABLE IF NOT EXISTS services (
  id         CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  name       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  sealed     VARCHAR(1000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  scopes     VARCHAR(1000) NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE KEY services_name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
