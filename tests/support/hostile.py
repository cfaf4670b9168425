"""A server that asks of those who log in what it likes, and keeps every byte that they send."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

READY = b"Z" + struct.pack("!i", 5) + b"I"
SSL_REQUEST = 80877103


def asks(request: int, said: bytes = b"") -> bytes:
    """An authentication request: 0 is "you are in", 3 clear text, 5 MD5, 10 to 12 SASL."""
    return b"R" + struct.pack("!ii", 8 + len(said), request) + said


class Client:
    """One that has connected, as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray) -> None:
        self._reader, self._writer, self._heard = reader, writer, heard

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def message(self) -> bytes:
        """The body of the client's next message."""
        head = await self._read(5)
        return await self._read(int.from_bytes(head[1:], "big") - 4)

    async def startup(self) -> bytes:
        """The body of its first message."""
        return await self._read(int.from_bytes(await self._read(4), "big") - 4)

    async def _read(self, size: int) -> bytes:
        data = await self._reader.readexactly(size)
        self._heard += data
        return data

    async def listen(self) -> None:
        """Hear whatever else it says, until it leaves."""
        while data := await self._reader.read(65536):
            self._heard += data


Script: TypeAlias = Callable[[Client], Awaitable[None]]


@asynccontextmanager
async def hostile_server(
    script: Script, heard: bytearray, *, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """The port, on every loopback address, of a server that goes through *script* with each client.

    Args:
        heard: gets every byte that clients send, out of TLS where there is any.
        context: answer a request for TLS with yes; None: with no.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await meet(reader, writer)
        finally:
            writer.transport.abort()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(reader, writer, heard)
        first = await client.startup()
        if int.from_bytes(first[:4], "big") == SSL_REQUEST:
            writer.write(b"N" if context is None else b"S")
            if context is not None:
                await writer.start_tls(context)
            await client.startup()
        await script(client)
        await client.listen()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            for task in [*tasks]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
