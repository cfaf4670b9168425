"""A TCP proxy in front of a server that knows where PostgreSQL's messages begin and end, and does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from dbpool.errors import UsageError
from dbpool.settings import positive_seconds, seconds_from_zero, whole_number
from dbpool.testing.addresses import address_of, dsn_with
from dbpool.testing.proxying.faults import Cut, Faults
from dbpool.testing.proxying.incoming import Incoming
from dbpool.testing.proxying.messages import (
    BEGINNINGS,
    ENCRYPTED,
    GSS,
    SSL,
    SSL_ANSWER,
    STARTUP,
    Do,
    Message,
    Rule,
    Way,
    checked_name,
    let_all_pass,
)
from dbpool.testing.proxying.session import Session, cut

_ASKS: Final = {(Way.TO_SERVER, "Q"), (Way.TO_SERVER, "S")}
_BEHIND: Final = {Do.RESET_BEHIND: True, Do.FINISH_BEHIND: False}  # and whether by a reset
_PIECE_S: Final = 0.02  # of a throttled stream at a time


class FaultProxy:
    """Stands between a pool and its server, on loopback only, and makes the faults of a network.

    ``async with proxy_before(dsn) as proxy`` or the fixture ``dbpool_proxy`` makes one; pools connect to
    ``proxy.dsn()``. What is said of messages holds for connections without TLS, as those of that DSN are; all else
    for any.

    Args:
        upstream: host and port of the server, or the path of its unix socket.
        target: a DSN of that server, of which ``dsn()`` is the like by way of this proxy.
    """

    def __init__(self, upstream: tuple[str, int] | Path, target: str = "") -> None:
        self.upstream = upstream
        self.rule: Rule = let_all_pass
        """Asked about each whole message, in order, which way it goes: for what the methods below do not have."""
        self.port = 0
        self.sessions: list[Session] = []
        """Every connection that was made, also those that are over."""
        self._target = target
        self._faults = Faults()
        self._free = {way: asyncio.Event() for way in Way}
        for event in self._free.values():
            event.set()
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def dsn(self, dsn: str = "") -> str:
        """The DSN of the same database by way of this proxy; without TLS, which would hide the messages.

        Args:
            dsn: of any database of the server; empty: the one that the proxy was made for.
        """
        through = dsn_with(dsn or self._target, address=self.address)
        if "sslmode=" in through:
            return through
        return f"{through}{'&' if '?' in through else '?'}sslmode=disable"

    def round_trips(self) -> int:
        """How often a client has asked and then had to wait for an answer."""
        return sum(message in _ASKS for session in self.sessions for message in session.messages)

    # Faults, until heal()

    async def refuse(self) -> None:
        """Have the machine refuse connections; those there are stay."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def listen(self) -> None:
        """Take connections, on the same port as before; does nothing if it does."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._met, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    @property
    def is_stalled(self) -> bool:
        events = (*self._free.values(), *(session.go_on for session in self.sessions))
        return not all(event.is_set() for event in events)

    def stall(self, way: Way | None = None) -> None:
        """Let nothing through in any session, as a network that swallows all; None: in either direction."""
        for one in Way if way is None else (way,):
            self._free[one].clear()

    def resume(self) -> None:
        """End what ``stall`` or a rule began; nothing of what waited is lost."""
        for event in (*self._free.values(), *(session.go_on for session in self.sessions)):
            event.set()

    def delay(self, seconds: float, way: Way | None = None) -> None:
        """Have everything arrive so much later, as over a long way; a round trip takes twice that. 0: at once."""
        for one in Way if way is None else (way,):
            self._faults.paces[one].delay_s = seconds_from_zero(seconds, "delay")

    def throttle(self, bytes_per_s: float | None, way: Way | None = None) -> None:
        """Let no more than so many bytes a second through in each connection; None: as many as there are."""
        rate = None if bytes_per_s is None else positive_seconds(bytes_per_s, "bytes_per_s")
        for one in Way if way is None else (way,):
            self._faults.paces[one].bytes_per_s = rate

    def cut(
        self,
        *,
        before: str = "",
        after: str = "",
        says: str = "",
        way: Way | None = None,
        nth: int = 1,
        reset: bool = True,
    ) -> Cut:
        """Cut a connection off at a message, once: ``proxy.cut(after="CommandComplete", says="COMMIT")``.

        Both ends see it. The message is the *nth* from now on, over all connections, that has the name and the text.

        Args:
            before: the message's name in PostgreSQL's protocol; it does not arrive any more.
            after: the same, and it arrives just in time. One of the two.
            says: what it must hold, as the SQL of a Query or Parse.
            way: for the names that both directions have.
            reset: by a TCP reset; False: by an orderly end.
        Returns: the cut; ``await cut.wait()`` until it has happened.
        Raises:
            UsageError: no message has that name, or neither or both were given.
        """
        if bool(before) == bool(after):
            raise UsageError("cut() needs before= or after=, one of them")
        name = checked_name(before or after, way)
        whole_number(nth, "nth", 1)
        return self._arm(Cut(way, reset, name=name, says=says.encode(), nth=nth, is_behind=bool(after)))

    def cut_at_byte(self, number: int, way: Way, *, reset: bool = True) -> Cut:
        """Cut the next connection off, once, whose bytes in that direction reach *number*, counted from 0.

        So many have arrived by then, which may be in the middle of a message; with TLS, too.
        """
        return self._arm(Cut(way, reset, at_byte=whole_number(number, "number", 0)))

    def end_all(self, *, reset: bool = True) -> None:
        """Cut every connection off now, by a TCP reset or an orderly end."""
        for session in self.sessions:
            session.end(reset=reset)

    async def heal(self) -> None:
        """Be a good network again: take connections, let everything through, forget cuts that have not happened."""
        self.rule = let_all_pass
        self._faults.clear()
        self.resume()
        await self.listen()

    async def close(self) -> None:
        """Refuse connections and end those that there are."""
        await self.refuse()
        self.end_all(reset=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _arm(self, cut: Cut) -> Cut:
        self._faults.cuts.append(cut)
        return cut

    # What goes through

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
            cut(to_client, reset=True)
            return
        session = Session(len(self.sessions) + 1, to_client, to_server)
        self.sessions.append(session)
        try:
            await asyncio.gather(
                self._pump(session, Way.TO_SERVER, Incoming(from_client)),
                self._pump(session, Way.TO_CLIENT, Incoming(from_server)),
            )
        finally:
            session.end(reset=False)

    async def _pump(self, session: Session, way: Way, incoming: Incoming) -> None:
        with suppress(ConnectionError, EOFError):
            await (self._to_server if way is Way.TO_SERVER else self._to_client)(session, incoming)
        if not session.is_over:
            await self._way_is_free(session, way)  # the end of a connection is not seen through a stalled network
            with suppress(OSError, RuntimeError):
                session.writers[way].write_eof()

    async def _to_server(self, session: Session, incoming: Incoming) -> None:
        is_encrypted = False
        kind = SSL
        while kind in (SSL, GSS) and not session.is_over and not is_encrypted:
            head, body = await incoming.message(has_kind=False)
            kind = BEGINNINGS.get(int.from_bytes(body[:4]), STARTUP)
            if kind in (SSL, GSS):
                session.asked_to_encrypt = asyncio.get_running_loop().create_future()
            await self._pass_on(Message(session, Way.TO_SERVER, kind, body), head, incoming.came_at)
            if session.asked_to_encrypt is not None:
                is_encrypted = await session.asked_to_encrypt
        await self._pass_all_on(session, Way.TO_SERVER, incoming, is_encrypted=is_encrypted)

    async def _to_client(self, session: Session, incoming: Incoming) -> None:
        is_encrypted = False
        while not session.is_over and not is_encrypted:
            await incoming.wait_some()
            asked, session.asked_to_encrypt = session.asked_to_encrypt, None
            if asked is None:
                break
            answer = await incoming.chunk(1)
            is_encrypted = answer in (b"S", b"G")
            await self._pass_on(Message(session, Way.TO_CLIENT, SSL_ANSWER, answer), b"", incoming.came_at)
            asked.set_result(is_encrypted)
        await self._pass_all_on(session, Way.TO_CLIENT, incoming, is_encrypted=is_encrypted)

    async def _pass_all_on(self, session: Session, way: Way, incoming: Incoming, *, is_encrypted: bool) -> None:
        while not session.is_over:
            if is_encrypted:
                head, body, kind = b"", await incoming.chunk(), ENCRYPTED
            else:
                head, body = await incoming.message(has_kind=True)
                kind = chr(head[0])
            await self._pass_on(Message(session, way, kind, body), head, incoming.came_at)

    async def _pass_on(self, message: Message, head: bytes, came_at: float) -> None:
        session, way = message.session, message.way
        data = head + message.body
        session.bytes_in[way] += len(data)
        session.messages.append((way, message.kind))
        todo = self.rule(message)
        if todo is Do.PASS:
            todo = self._faults.verdict(message)
        if not await self._may_go_on(session, way, todo):
            return
        await asyncio.sleep(max(0.0, came_at + self._faults.paces[way].delay_s - asyncio.get_running_loop().time()))
        cut_at = self._faults.cut_within(session, way, len(data))
        if cut_at is not None:
            data = data[: cut_at[0]]
        await self._write(session, way, data)
        session.bytes_out[way] += len(data)
        if todo is Do.LAST:
            session.go_on.clear()
        elif todo in _BEHIND:
            session.end(reset=_BEHIND[todo])
        if cut_at is not None:
            session.end(reset=cut_at[1])

    async def _write(self, session: Session, way: Way, data: bytes) -> None:
        writer, rate = session.writers[way], self._faults.paces[way].bytes_per_s
        piece = len(data) if rate is None else max(1, int(rate * _PIECE_S))
        for at in range(0, len(data), max(1, piece)):
            writer.write(data[at : at + piece])
            await writer.drain()
            if rate is not None:
                await asyncio.sleep(min(piece, len(data) - at) / rate)

    async def _may_go_on(self, session: Session, way: Way, todo: Do) -> bool:
        if todo is Do.STALL:
            session.go_on.clear()
        await self._way_is_free(session, way)
        if todo in (Do.RESET, Do.FINISH) and not session.is_over:
            session.end(reset=todo is Do.RESET)
        return not session.is_over and todo is not Do.DROP

    async def _way_is_free(self, session: Session, way: Way) -> None:
        await self._free[way].wait()
        await session.go_on.wait()


@asynccontextmanager
async def proxy_before(dsn: str) -> AsyncIterator[FaultProxy]:
    """A proxy before the server of *dsn*, for the length of the block; that may be at a unix socket."""
    async with proxy_to(address_of(urlsplit(dsn)), dsn) as proxy:
        yield proxy


@asynccontextmanager
async def proxy_to(upstream: tuple[str, int] | Path, target: str = "") -> AsyncIterator[FaultProxy]:
    """A proxy before the server at *upstream*, for the length of the block."""
    proxy = FaultProxy(upstream, target)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
