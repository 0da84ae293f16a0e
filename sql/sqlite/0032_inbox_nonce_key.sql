-- The nonce of a callback, hashed: known with another content, it is refused.
ALTER TABLE inbox ADD COLUMN nonce_key TEXT;
