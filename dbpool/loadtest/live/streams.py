"""Those who look on: each has a short line of messages, and whoever does not keep up is let go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

WAITING: Final = 256  # messages: four minutes of ticks
MOST: Final = 32  # who look on at once
ENOUGH_S: Final = 10.0  # to take a message; a browser on the same machine takes some ms


class Stream:
    """One who looks on, until it ends or falls behind."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)
        self.is_dropped = False

    def tell(self, message: bytes | None) -> None:
        """Put it into line; None: that was all. Never waits."""
        if self.is_dropped:
            return
        try:
            self._messages.put_nowait(message)
        except asyncio.QueueFull:
            self.drop()

    def drop(self) -> None:
        """Cut it off: a browser comes again by itself, and gets all anew."""
        self.is_dropped = True
        self._writer.transport.abort()

    async def run(self, *first: bytes) -> None:
        """Write *first*, then what it is told, until it is told that this was all, or is gone."""
        for message in first:
            await self._write(message)
        while not self.is_dropped and (told := await self._messages.get()) is not None:
            await self._write(told)

    async def _write(self, message: bytes) -> None:
        self._writer.write(message)
        async with asyncio.timeout(ENOUGH_S):
            await self._writer.drain()


class Streams:
    """All of them."""

    def __init__(self) -> None:
        self._streams: set[Stream] = set()

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def is_full(self) -> bool:
        return len(self._streams) >= MOST

    def add(self, stream: Stream) -> None:
        self._streams.add(stream)

    def remove(self, stream: Stream) -> None:
        self._streams.discard(stream)

    def tell(self, messages: Iterable[bytes | None]) -> None:
        """Put *messages* into each one's line."""
        for message in messages:
            for stream in list(self._streams):
                stream.tell(message)
