"""The examples' database: that of DATABASE_URL, else an embedded PostgreSQL for as long as the example runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def database_url() -> Iterator[str]:
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    from dbpool.embedded import EmbeddedPostgres

    with EmbeddedPostgres() as server:
        yield server.dsn()
