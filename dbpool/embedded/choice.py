"""The user's own server where there is one, else an embedded one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict, Unpack

from dbpool.embedded.server import EmbeddedPostgres


class ServerOptions(TypedDict, total=False):
    """What ``EmbeddedPostgres`` takes."""

    data_dir: Path | None
    template: Path | None
    settings: Mapping[str, str] | None
    listen: bool
    start_timeout: float


@contextmanager
def database_server(**options: Unpack[ServerOptions]) -> Iterator[str]:
    """Yield a DSN: ``DATABASE_URL`` if it is set and not empty, else that of an embedded server, stopped at the end.

    Args:
        options: for ``EmbeddedPostgres``; they do not matter when ``DATABASE_URL`` is set.
    """
    if url := os.environ.get("DATABASE_URL"):
        yield url
    else:
        with EmbeddedPostgres(**options) as server:
            yield server.dsn()
