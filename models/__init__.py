"""What is stored: rows, Redis keys, transactions. Knows only the drivers."""
