"""Threads of a piece of bulk work, which end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from dbpool.finish import finish

T = TypeVar("T")


class Threads:
    """Runs what blocks; leaving the block waits until nothing runs any more."""

    def __init__(self, most: int) -> None:
        self._executor = ThreadPoolExecutor(most, "dbpool-bulk")

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()  # every call was waited for, so the threads have nothing left to do

    async def call(self, work: Callable[[], T]) -> T:
        """What *work* returns. A cancellation is delivered when it is done, so that it does not run on unseen."""

        async def wait() -> T:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)

        return await finish(wait())
