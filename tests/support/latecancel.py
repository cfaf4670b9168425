"""A pooler that says at once that it has passed a request to cancel on, and does it later."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from urllib.parse import urlsplit

from dbpool.testing.addresses import dsn_with

_CANCEL = 80877102  # the code of a CancelRequest: PostgreSQL 18 manual, 54.7


class LateCancels:
    """In front of a server, each connection to which has one at the server of its own.

    ``passed_on`` are the requests that the server was sent; ``delay_s`` is when, after they came.
    """

    def __init__(self, dsn: str, delay_s: float) -> None:
        parts = urlsplit(dsn)
        self._server = (parts.hostname, parts.port)
        self._dsn = dsn
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.delay_s = delay_s
        self.passed_on = 0

    @property
    def dsn(self) -> str:
        return dsn_with(self._dsn, address=f"127.0.0.1:{self.port}")

    async def met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            first = await reader.readexactly(8)
            if struct.unpack("!ii", first)[1] != _CANCEL:
                await self._stand_between(first, reader, writer)
                return
            request = first + await reader.readexactly(8)
        await asyncio.sleep(self.delay_s)
        await self._cancel(request)

    async def _stand_between(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        servers_reader, servers_writer = await asyncio.open_connection(*self._server)
        with closing(servers_writer):
            servers_writer.write(first)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass(reader, servers_writer))
                both.create_task(_pass(servers_reader, writer))

    async def _cancel(self, request: bytes) -> None:
        reader, writer = await asyncio.open_connection(*self._server)
        with closing(writer):
            writer.write(request)
            await reader.read()  # it closes when it has sent the signal
        self.passed_on += 1

    def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self.met(reader, writer))
        self._tasks.add(task)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # what was closed is gone a turn later


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


@asynccontextmanager
async def late_cancels(dsn: str, delay_s: float) -> AsyncIterator[LateCancels]:
    """Such a pooler in front of *dsn*'s server, on loopback."""
    pooler = LateCancels(dsn, delay_s)
    listener = await asyncio.start_server(pooler.begin, "127.0.0.1", 0)
    pooler.port = listener.sockets[0].getsockname()[1]
    try:
        yield pooler
    finally:
        listener.close()
        await pooler.end()
