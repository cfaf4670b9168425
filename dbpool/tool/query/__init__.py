"""The command ``dbpool query``."""
