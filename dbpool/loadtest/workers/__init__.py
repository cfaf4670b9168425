"""Processes that make the load, each with an event loop of its own."""
