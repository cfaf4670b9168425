"""Decides for load tests: what the measurements say, what to measure next, what to recommend."""
