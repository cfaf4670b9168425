"""The command ``dbpool doctor``."""
