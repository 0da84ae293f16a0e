"""WeChat's ciphers and signatures, and our own sealing at rest."""
