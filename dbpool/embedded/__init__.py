"""An embedded PostgreSQL for demos, tests and first steps: no installation, no configuration, nothing left behind."""

from dbpool.embedded.choice import database_server
from dbpool.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "database_server"]
