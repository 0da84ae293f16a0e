"""What operators need: the trail of refusals and changed settings, retention, resealing, import."""
