"""Blocks of several parts, read at once, in the order of the parts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

Block: TypeAlias = Sequence[bytes]  # what is written together; only a thread joins it

AHEAD_BYTES: Final = 2 << 20  # of the part whose turn it is: so that reading goes on during a write


class PartSequence:
    """Takes the blocks of many parts from as many tasks, and gives them to one writer part after part.

    Parts are begun in order. Always true between two turns of the event loop: what waits here is less than *room*, what
    may be ahead of the writer, and a block of each task; the part whose turn it is never waits for the others.

    Args:
        room: bytes beyond which parts wait whose turn has not come.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: dict[int, deque[tuple[Block, int]]] = {}
        self._ended: set[int] = set()
        self._turn = 0
        self._sizes: dict[int, int] = {}
        self._changed = asyncio.Condition()

    async def put(self, part: int, block: Block, size: int) -> None:
        """Wait until there is room for *size* bytes more of *part*, then take them."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_room(part))
            self._waiting.setdefault(part, deque()).append((block, size))
            self._sizes[part] = self._sizes.get(part, 0) + size
            self._changed.notify_all()

    async def end(self, part: int) -> None:
        """There is no more of *part*."""
        async with self._changed:
            self._ended.add(part)
            self._changed.notify_all()

    async def pass_on(self, parts: int, write: Callable[[Block], Awaitable[None]]) -> None:
        """Write all blocks of *parts* parts, in order; return after the last."""
        for part in range(parts):
            while (block := await self._next(part)) is not None:
                await write(block)

    async def _next(self, part: int) -> Block | None:
        async with self._changed:
            self._turn = part
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self._waiting.get(part) or part in self._ended)
            blocks = self._waiting.get(part)
            if not blocks:
                self._waiting.pop(part, None)
                self._sizes.pop(part, None)
                self._ended.discard(part)
                return None
            block, size = blocks.popleft()
            self._sizes[part] -= size
            self._changed.notify_all()
            return block

    def _has_room(self, part: int) -> bool:
        if part == self._turn:
            return self._sizes.get(part, 0) < AHEAD_BYTES
        return sum(self._sizes.values()) < self._room
