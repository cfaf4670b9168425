"""A queue before the pool: many clients, few connections, and what that does to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbpool.loadtest.stages.stand import Stand


async def queue(stand: Stand, *, sizes: Sequence[int], clients: int) -> None:
    """Measure pools of *sizes*, each with the same number of *clients*: their responses include the wait in line.

    Raises: WorkerFailed.
    Cancelling: ends what is measured, with its connections.
    """
    stand.begin("queue", f"{clients} clients before smaller pools", points=len(sizes))
    for size in sizes:
        if stand.is_stopped:
            return
        await stand.measure("queue", stand.target(size), replace(stand.load, clients=clients, stages=()))


def sizes_around(size: int, cap: int, many: int) -> list[int]:
    """Up to *many* sizes from half of *size* on, each twice the one before, none above *cap*."""
    first = max(1, size // 2)
    return sorted({min(cap, first << step) for step in range(many)})
