"""What memory a connection costs a server on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from dbpool.loadtest.server.processor import NAMES

MOST: Final = 20  # backends that are looked at: reading what one has takes a millisecond, and all are alike


def private_memory_mb(backend_pids: Sequence[int]) -> float | None:
    """What a backend has to itself, shared buffers not counted: the median; None: it cannot be read.

    Args:
        backend_pids: of sessions of a server on this machine; an id that is no server's process counts as unreadable.
    """
    try:
        import psutil
    except ImportError:
        return None
    step = max(1, len(backend_pids) // MOST)
    seen = []
    for pid in backend_pids[::step][:MOST]:
        try:
            process = psutil.Process(pid)
            if any(name in process.name() for name in NAMES):
                seen.append(process.memory_full_info().uss)  # of others' processes only root may read it
        except (psutil.Error, ValueError):
            continue
    return median(seen) / (1 << 20) if seen else None
