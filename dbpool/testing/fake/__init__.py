"""A pool on a server that lives in the event loop."""
