"""What comes from one end of a connection, cut into messages."""

from __future__ import annotations

import asyncio

READ_SIZE = 64 * 1024


class Incoming:
    """A stream's bytes, and when they came."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._seen = bytearray()
        self.came_at = 0.0
        """When the last of what was taken came, by the loop's clock."""

    async def wait_some(self) -> None:
        """Return once there is a byte at the least.

        Raises:
            EOFError: there is none, nor will there be.
        """
        if not self._seen:
            await self._more()

    async def message(self, *, has_kind: bool) -> tuple[bytes, bytes]:
        """A whole message: its letter, if it has one, with its length, and its body."""
        start = 1 if has_kind else 0
        while len(self._seen) < start + 4:
            await self._more()
        end = start + int.from_bytes(self._seen[start : start + 4])
        while len(self._seen) < end:
            await self._more()
        data = self._take(end)
        return data[: start + 4], data[start + 4 :]

    async def chunk(self, most: int = READ_SIZE) -> bytes:
        """What is there, *most* bytes of it; at least one."""
        await self.wait_some()
        return self._take(min(most, len(self._seen)))

    def _take(self, count: int) -> bytes:
        taken = bytes(self._seen[:count])
        del self._seen[:count]
        return taken

    async def _more(self) -> None:
        came = await self._reader.read(READ_SIZE)
        if not came:
            raise EOFError
        self.came_at = asyncio.get_running_loop().time()
        self._seen += came
