"""Work in a thread that is over when its caller goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from dbpool.finish import finish

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """What *work* returns, from a thread.

    Cancelling: is delivered when the thread is done, for a file must not be closed under it.
    """
    return await finish(asyncio.to_thread(work))
