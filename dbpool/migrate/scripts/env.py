"""For folders that have no env.py of their own."""

from __future__ import annotations

from dbpool.migrate.env import run

run()
