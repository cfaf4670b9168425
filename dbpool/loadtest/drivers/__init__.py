"""The libraries that a load goes through."""
