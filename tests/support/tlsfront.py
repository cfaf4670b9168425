"""TLS in front of a server that was built without, which a name that is not loopback's leads to as well."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.support.hostile import SSL_REQUEST

# getaddrinfo reads it as 127.0.0.1, and nothing that reads addresses does: to the pool it is another machine.
FAR = "127.1"
FAR_TOO = "127.0.1"
CANCEL_REQUEST = 80877102


class Front:
    """What clients see as the server: one that has TLS, and does without for those who ask for none."""

    def __init__(self, dsn: str, context: ssl.SSLContext) -> None:
        parts = urlsplit(dsn)
        assert parts.port is not None
        self.password = parts.password or ""
        self._upstream = parts.port
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.sessions: list[bool] = []
        """Whether each session had TLS."""
        self.cancels: list[bool] = []
        """The same of requests to cancel."""

    def dsn(self, host: str = FAR, more: str = "", *, user: str = "postgres") -> str:
        """With the parameters *more*, as ``?sslmode=require``, and no others."""
        return f"postgresql://{user}:{self.password}@{host}:{self.port}/postgres{more}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ends = [writer]
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer, ends)
        finally:
            for end in ends:
                end.transport.abort()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: list[asyncio.StreamWriter]
    ) -> None:
        first = await reader.readexactly(8)
        has_tls = int.from_bytes(first[4:], "big") == SSL_REQUEST
        if has_tls:
            writer.write(b"S")
            await writer.start_tls(self._context)
            first = await reader.readexactly(8)
        (self.cancels if int.from_bytes(first[4:], "big") == CANCEL_REQUEST else self.sessions).append(has_tls)
        upstream, to_server = await asyncio.open_connection("127.0.0.1", self._upstream)
        ends.append(to_server)
        to_server.write(first)
        passing = [asyncio.ensure_future(pump(reader, to_server)), asyncio.ensure_future(pump(upstream, writer))]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in passing:
                each.cancel()
            await asyncio.gather(*passing, return_exceptions=True)

    async def end(self) -> None:
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def tls_front(dsn: str, context: ssl.SSLContext) -> AsyncIterator[Front]:
    """A front of the server at *dsn* that shows the certificate of *context*."""
    front = Front(dsn, context)
    async with await asyncio.start_server(front.serve, "127.0.0.1", 0) as listener:
        front.port = listener.sockets[0].getsockname()[1]
        try:
            yield front
        finally:
            await front.end()
