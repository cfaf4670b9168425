"""A relay before a server that changes what the server says, message by message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit


class Mangler:
    """``change`` gets each message of the server's, whole, and returns what goes on in its place."""

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self.change: Callable[[bytes], bytes] = bytes
        self.changed = 0
        """How many messages went on as something else."""
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def once(self, kind: bytes, change: Callable[[bytes], bytes], nth: int = 1) -> None:
        """Change the *nth* message from now on whose letter is *kind*."""
        left = nth

        def changed(message: bytes) -> bytes:
            nonlocal left
            if message[:1] != kind:
                return message
            left -= 1
            return change(message) if left == 0 else message

        self.change = changed

    async def serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*self._server)
        self._writers += [to_client, to_server]
        self._start(self._pass_on(from_client, to_server))
        self._start(self._change(from_server, to_client))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def _change(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            while True:
                head = await reader.readexactly(5)
                message = head + await reader.readexactly(int.from_bytes(head[1:]) - 4)
                sent = self.change(message)
                self.changed += sent != message
                writer.write(sent)
        writer.close()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def mangler_before(dsn: str) -> AsyncIterator[tuple[Mangler, str]]:
    """A relay before the server of *dsn*, and the address through it."""
    parts = urlsplit(dsn)
    assert parts.hostname is not None
    mangler = Mangler(parts.hostname, parts.port or 5432)
    server = await asyncio.start_server(mangler.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    who = parts.netloc.rpartition("@")[0]
    try:
        yield mangler, urlunsplit(parts._replace(netloc=f"{who}@127.0.0.1:{port}"))
    finally:
        server.close()
        mangler.close()
        await server.wait_closed()
