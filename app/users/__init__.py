"""The signed-in user: profile, phone, open data."""
