"""Settings, errors, clock and logs: the ground floor, which knows nobody."""
