"""Rows into a table: insert, upsert, update_from."""
