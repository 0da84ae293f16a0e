-- Of two deliveries with one nonce at the same moment, one is refused by this key and then finds the other.
ALTER TABLE inbox ADD UNIQUE KEY inbox_nonce (source, nonce_key), ALGORITHM=INPLACE, LOCK=NONE;
