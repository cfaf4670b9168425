"""The server of a test session, under the name that tests use."""

from dbpool.testing.server import Server

__all__ = ["Server"]
