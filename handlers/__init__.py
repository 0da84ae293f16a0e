"""HTTP: parse, call once, reply."""
