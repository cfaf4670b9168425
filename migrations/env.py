"""How alembic and dbpool.migrate run these steps: see dbpool.migrate.env."""

from __future__ import annotations

from dbpool.migrate.env import run

run(version_table="dbpool_version")
