"""``realtime-ser sessions``, and what ``listen --record`` asks and shows."""
