-- Who did what to whom, when, from where and how. Sign-ins are not repeated here: the sessions table tells them.
-- actor is user:<id>, service:<name>, cli:<system user> or system; detail is JSON without secrets.
CREATE TABLE IF NOT EXISTS audit (
  id      CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  at      BIGINT NOT NULL,
  action  VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  actor   VARCHAR(64) NOT NULL,
  user_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin,
  address VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  detail  VARCHAR(4000) NOT NULL,
  KEY audit_user_id (user_id, at),
  KEY audit_at (at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
