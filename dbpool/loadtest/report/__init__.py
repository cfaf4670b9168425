"""A run's document, shown to people."""
