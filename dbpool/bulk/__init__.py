"""Bulk work: the same statement for many items, loads, exports, jobs."""
