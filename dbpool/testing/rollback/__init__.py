"""A pool in which nothing that is written stays."""
