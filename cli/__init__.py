"""The command `kaimen`: builds everything, starts and stops it."""
