"""The examples' database: that of DATABASE_URL, else an embedded PostgreSQL for as long as the example runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dbpool import DbPoolError


@contextmanager
def database_url() -> Iterator[str]:
    """Its address, for a block; what the pool refuses in it ends the program in a sentence."""
    try:
        if url := os.environ.get("DATABASE_URL"):
            yield url
            return
        from dbpool.embedded import EmbeddedPostgres

        with EmbeddedPostgres() as server:
            yield server.dsn()
    except DbPoolError as error:
        sys.exit(str(error))
