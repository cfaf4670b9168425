"""Loads: files, records, frames and arrays into a table."""
