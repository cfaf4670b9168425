"""A server, or several, for the length of a ``with`` or ``async with`` block."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from dbpool.finish import finish


class Blocks(ABC):
    """What has ``start`` and ``stop``, which block, for both kinds of block.

    Cancelling: a start under way ends first, then what it started is stopped; a stop goes on to its end.
    """

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        try:
            await finish(asyncio.to_thread(self.start))
        except asyncio.CancelledError:
            await finish(asyncio.to_thread(self.stop))
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await finish(asyncio.to_thread(self.stop))
