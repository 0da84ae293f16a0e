"""A user's account: what it can be reached by, what it agreed to, its export and its end."""
