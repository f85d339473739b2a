"""candidates → ranking → **policy** → slate. What may be on a list, and how it is laid out. Small pure functions."""
