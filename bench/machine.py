"""The machine, in words that fit any report."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("asyncpg", "uvloop", "psycopg", "psycopg-pool", "psqlpy", "sqlalchemy", "adbc-driver-postgresql")


def describe_machine(postgresql: str, *, embedded: bool) -> dict[str, str]:
    """What the figures depend on; no names, no paths."""
    where = "embedded, through a unix socket" if embedded else "the one that DATABASE_URL names"
    return {
        "processors": f"{os.cpu_count()} ({platform.machine()}), shared by client and server"
        if embedded
        else f"{os.cpu_count()} ({platform.machine()})",
        "memory": f"{_memory_gib():.0f} GiB",
        "system": platform.system(),
        "load": f"{os.getloadavg()[0]:.1f} processes at the beginning, of others' making",
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "PostgreSQL": f"{postgresql}, {where}",
        **{name: _version(name) for name in _PACKAGES},
    }


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
