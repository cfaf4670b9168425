"""A TCP proxy in front of a server that knows where PostgreSQL's messages begin and end, and does as it is told."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.pools import dsn_with

CANCEL_REQUEST = 80877102


class Way(Enum):
    """A direction."""

    TO_SERVER = "to the server"
    TO_CLIENT = "to the client"


class Do(Enum):
    """What becomes of a message."""

    PASS = "goes on"
    DROP = "is lost; what follows goes on"
    STALL = "waits for resume(), as does all that follows in its session"
    LAST = "goes on; all that follows in its session waits for resume()"
    RESET = "is lost, and both ends see a reset"
    FINISH = "is lost, and both ends see an orderly end"


@dataclass(frozen=True, slots=True)
class Message:
    """One message on its way."""

    session: Session
    way: Way
    kind: str  # the protocol's letter; "startup" or "cancel" for what a client begins with
    body: bytes

    def says(self, kind: str, text: bytes = b"") -> bool:
        """Whether a client sends this: a letter, and what is in it."""
        return self.way is Way.TO_SERVER and self.kind == kind and text in self.body


Rule = Callable[[Message], Do]


def let_all_pass(_: Message) -> Do:
    return Do.PASS


class Session:
    """One client's connection, and the one to the server made for it."""

    def __init__(self, number: int, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.number = number
        self.writers = {Way.TO_SERVER: server, Way.TO_CLIENT: client}
        self.bytes_in: Counter[Way] = Counter()
        self.bytes_out: Counter[Way] = Counter()
        self.messages: list[tuple[Way, str]] = []
        self.is_over = False
        self.go_on = asyncio.Event()
        self.go_on.set()

    def end(self, *, reset: bool) -> None:
        """Cut both ends off."""
        self.is_over = True
        for writer in self.writers.values():
            _cut(writer, reset=reset)


class Proxy:
    """Listens on loopback; ``rule`` is asked about each whole message, in order."""

    def __init__(self, upstream: tuple[str, int] | Path) -> None:
        self.upstream = upstream
        self.rule: Rule = let_all_pass
        self.port = 0
        self.sessions: list[Session] = []
        self._go_on = asyncio.Event()
        self._go_on.set()
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def dsn(self, dsn: str) -> str:
        """The DSN of the same database by way of this proxy; without TLS, which would hide the messages."""
        through = dsn_with(dsn, address=self.address)
        return through if "sslmode=" in through else f"{through}?sslmode=disable"

    def round_trips(self) -> int:
        """How often a client has asked and then had to wait for an answer."""
        return sum(message in _ASKS for session in self.sessions for message in session.messages)

    async def listen(self) -> None:
        """Take connections, on the same port as before."""
        self._listener = await asyncio.start_server(self._met, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Have the machine refuse connections; those there are stay."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    @property
    def is_stalled(self) -> bool:
        return not all(event.is_set() for event in (self._go_on, *(session.go_on for session in self.sessions)))

    def stall(self) -> None:
        """Let nothing through in any session or direction, as a network that swallows all."""
        self._go_on.clear()

    def resume(self) -> None:
        self._go_on.set()
        for session in self.sessions:
            session.go_on.set()

    def end_all(self, *, reset: bool) -> None:
        for session in self.sessions:
            session.end(reset=reset)

    async def close(self) -> None:
        await self.refuse()
        self.end_all(reset=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            if isinstance(self.upstream, Path):
                from_server, to_server = await asyncio.open_unix_connection(self.upstream)
            else:
                from_server, to_server = await asyncio.open_connection(*self.upstream)
        except OSError:
            _cut(to_client, reset=True)
            return
        session = Session(len(self.sessions) + 1, to_client, to_server)
        self.sessions.append(session)
        try:
            await asyncio.gather(
                self._pump(session, Way.TO_SERVER, from_client), self._pump(session, Way.TO_CLIENT, from_server)
            )
        finally:
            session.end(reset=False)

    async def _pump(self, session: Session, way: Way, reader: asyncio.StreamReader) -> None:
        writer = session.writers[way]
        is_first = way is Way.TO_SERVER
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not session.is_over:
                head, size = await _head(reader, has_kind=not is_first)
                data = head + await reader.readexactly(size)
                kind = "startup" if is_first else chr(head[0])
                if is_first and int.from_bytes(data[4:8]) == CANCEL_REQUEST:
                    kind = "cancel"
                session.bytes_in[way] += len(data)
                session.messages.append((way, kind))
                is_first = False
                todo = self.rule(Message(session, way, kind, data[len(head) :]))
                if await self._may_go_on(session, todo):
                    writer.write(data)
                    await writer.drain()
                    session.bytes_out[way] += len(data)
                    if todo is Do.LAST:
                        session.go_on.clear()
        if not session.is_over:
            await self._way_is_free(session)  # the end of a connection is not seen through a stalled network
            with suppress(OSError, RuntimeError):
                writer.write_eof()

    async def _may_go_on(self, session: Session, todo: Do) -> bool:
        if todo is Do.STALL:
            session.go_on.clear()
        await self._way_is_free(session)
        if todo in (Do.RESET, Do.FINISH) and not session.is_over:
            session.end(reset=todo is Do.RESET)
        return not session.is_over and todo is not Do.DROP

    async def _way_is_free(self, session: Session) -> None:
        await self._go_on.wait()
        await session.go_on.wait()


_ASKS = {(Way.TO_SERVER, "Q"), (Way.TO_SERVER, "S")}


async def _head(reader: asyncio.StreamReader, *, has_kind: bool) -> tuple[bytes, int]:
    """A message's letter, if it has one, and length; and how many bytes follow."""
    head = await reader.readexactly(5 if has_kind else 4)
    return head, int.from_bytes(head[-4:]) - 4


def _cut(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    sock = writer.get_extra_info("socket")
    if reset and sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6) and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


@asynccontextmanager
async def proxy_before(dsn: str) -> AsyncIterator[Proxy]:
    """A proxy before the server of *dsn*."""
    parts = urlsplit(dsn)
    async with proxy_to((parts.hostname or "127.0.0.1", parts.port or 5432)) as proxy:
        yield proxy


@asynccontextmanager
async def proxy_to(upstream: tuple[str, int] | Path) -> AsyncIterator[Proxy]:
    proxy = Proxy(upstream)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
