"""Work of a stage that ends early when the run is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from dbpool.loadtest.stages.stand import Stand

T = TypeVar("T")
LOOK_EVERY_S: Final = 0.05


async def unless_stopped(stand: Stand, work: Coroutine[Any, Any, T]) -> T | None:
    """What *work* returns; None if the run was stopped before: then it is cancelled, and has cleaned up.

    Cancelling: the same, before it propagates.
    """
    task = asyncio.create_task(work)
    try:
        while not task.done() and not stand.is_stopped:
            await asyncio.wait([task], timeout=LOOK_EVERY_S)
    finally:
        task.cancel()
        await asyncio.wait([task])
    return None if task.cancelled() else task.result()
