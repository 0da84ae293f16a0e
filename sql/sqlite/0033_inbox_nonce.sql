-- Of two deliveries with one nonce at the same moment, one is refused by this key and then finds the other.
CREATE UNIQUE INDEX inbox_nonce ON inbox (source, nonce_key);
