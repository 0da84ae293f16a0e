"""Avatars that users upload: what is taken, where it is kept, when it goes."""
