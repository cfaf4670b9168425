"""A transport that says so when its peer is slow to read, also where this release of Python forgets to."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Any


def floods(version: tuple[int, ...]) -> bool:
    """Whether ``writelines`` of asyncio's transports buffers without limit in this release: CVE-2024-12254."""
    return (3, 12, 0) <= version < (3, 12, 9) or (3, 13, 0) <= version < (3, 13, 2)


def keep_flow_control(transport: asyncio.BaseTransport, version: tuple[int, ...] = sys.version_info[:3]) -> None:
    """Have ``writelines``, by which the driver sends the rows of ``executemany``, wait for a slow peer as ``write``."""
    me: Any = transport
    if floods(version) and hasattr(me, "__dict__"):  # uvloop's has none, and no such fault

        def writelines(pieces: Iterable[bytes | memoryview]) -> None:
            me.write(b"".join(pieces))

        me.writelines = writelines
