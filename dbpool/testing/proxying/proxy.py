"""A TCP proxy in front of a server that knows where PostgreSQL's messages begin and end, and does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from dbpool.errors import UsageError
from dbpool.settings import positive_seconds, seconds_from_zero, whole_number
from dbpool.testing.addresses import address_of, dsn_with
from dbpool.testing.proxying.damage import Damage
from dbpool.testing.proxying.deafness import Deafness
from dbpool.testing.proxying.faults import Fault
from dbpool.testing.proxying.incoming import Incoming
from dbpool.testing.proxying.messages import (
    Do,
    Rule,
    Way,
    checked_name,
    let_all_pass,
)
from dbpool.testing.proxying.passing import Passage
from dbpool.testing.proxying.session import Session, Standing, cut

_ASKS: Final = {(Way.TO_SERVER, "Q"), (Way.TO_SERVER, "S")}


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
        self.port = 0
        self.sessions: list[Session] = []
        """Every connection that was made, also those that are over."""
        self._target = target
        self._passage = Passage()
        self._listener: asyncio.Server | None = None
        self._deafness = Deafness()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def rule(self) -> Rule:
        """Asked about each whole message, in order, what becomes of it: for what the methods below do not have."""
        return self._passage.rule

    @rule.setter
    def rule(self, rule: Rule) -> None:
        self._passage.rule = rule

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
        self._deafness.end()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def deafen(self) -> None:
        """Have no connection come about, and none refused either, as by a firewall; those there are stay. Linux only.

        Raises:
            UsageError: this system answers all the same.
        """
        await self.refuse()
        await self._deafness.begin(self.port)

    async def listen(self) -> None:
        """Take connections, on the same port as before; does nothing if it does."""
        if self._listener is None:
            self._deafness.end()
            self._listener = await asyncio.start_server(self._met, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    @property
    def is_stalled(self) -> bool:
        events = (*self._passage.free.values(), *(session.go_on for session in self.sessions))
        return not all(event.is_set() for event in events)

    def stall(self, way: Way | None = None) -> None:
        """Let nothing through in any session, as a network that swallows all; None: in either direction."""
        for one in Way if way is None else (way,):
            self._passage.free[one].clear()

    def resume(self) -> None:
        """End what ``stall`` or a rule began; nothing of what waited is lost."""
        for event in (*self._passage.free.values(), *(session.go_on for session in self.sessions)):
            event.set()

    def delay(self, seconds: float, way: Way | None = None) -> None:
        """Have everything arrive so much later, as over a long way; a round trip takes twice that. 0: at once."""
        for one in Way if way is None else (way,):
            self._passage.faults.paces[one].delay_s = seconds_from_zero(seconds, "delay")

    def throttle(self, bytes_per_s: float | None, way: Way | None = None) -> None:
        """Let no more than so many bytes a second through in each connection; None: as many as there are."""
        rate = None if bytes_per_s is None else positive_seconds(bytes_per_s, "bytes_per_s")
        for one in Way if way is None else (way,):
            self._passage.faults.paces[one].bytes_per_s = rate

    def slice(self, most_bytes: int | None, way: Way | None = None) -> None:
        """Pass on no more than so many bytes at a time, as they may come through any network; None: whole messages."""
        piece = None if most_bytes is None else whole_number(most_bytes, "most_bytes", 1)
        for one in Way if way is None else (way,):
            self._passage.faults.paces[one].piece = piece

    def delay_cancels(self, seconds: float) -> None:
        """Have every request to cancel a statement arrive so much later, as one that a pooler passes on when it can."""
        self._passage.faults.cancel_delay_s = seconds_from_zero(seconds, "delay")

    def cut(
        self,
        *,
        before: str = "",
        after: str = "",
        says: str = "",
        way: Way | None = None,
        nth: int = 1,
        standing: Standing | None = None,
        reset: bool = True,
    ) -> Fault:
        """Cut a connection off at a message, once: ``proxy.cut(after="CommandComplete", says="COMMIT")``.

        Both ends see it. The message is the *nth* from now on, over all connections, that has the name and the text.

        Args:
            before: the message's name in PostgreSQL's protocol; it does not arrive any more.
            after: the same, and it arrives just in time. One of the two.
            says: what it must hold, as the SQL of a Query or Parse.
            way: for the names that both directions have.
            standing: where the session must stand, as ``Standing.IN_TRANSACTION``; None: anywhere.
            reset: by a TCP reset; False: by an orderly end.
        Returns: the cut; ``await cut.wait()`` until it has happened.
        Raises:
            UsageError: no message has that name, or neither or both were given.
        """
        if bool(before) == bool(after):
            raise UsageError("cut() needs before= or after=, one of them")
        at, behind = (Do.RESET, Do.RESET_BEHIND) if reset else (Do.FINISH, Do.FINISH_BEHIND)
        return self._plan(at if before else behind, before or after, says, way, nth, standing)

    def damage(
        self,
        message: str,
        by: Damage,
        *,
        says: str = "",
        way: Way | None = None,
        nth: int = 1,
        standing: Standing | None = None,
    ) -> Fault:
        """Spoil a message, once: ``proxy.damage("ReadyForQuery", Damage.TWICE)``; the message is told as for ``cut``.

        No TCP does that, but programs on the way do that pass messages on, and hosts whose memory fails.
        """
        return self._plan(by, message, says, way, nth, standing)

    def cut_at_byte(self, number: int, way: Way, *, reset: bool = True, session: int | None = None) -> Fault:
        """Cut the next connection off, once, whose bytes in that direction reach *number*, counted from 0.

        So many have arrived by then, which may be in the middle of a message; with TLS, too.

        Args:
            session: the number of the connection, from 1 in the order in which they are made; None: any.
        """
        return self._plan_at_byte(Do.RESET if reset else Do.FINISH, number, way, session)

    def stall_at_byte(self, number: int, way: Way, *, session: int | None = None) -> Fault:
        """The same, but there is silence from then on in both directions, and no end, until ``resume``."""
        return self._plan_at_byte(Do.STALL, number, way, session)

    def lose_at_byte(self, number: int, way: Way, *, count: int = 1, session: int | None = None) -> Fault:
        """Lose *count* bytes there; what follows them goes on as if they had never been."""
        losing = whole_number(count, "count", 1)
        fault = self._plan_at_byte(Damage.LOST, number, way, session)
        fault.losing = losing
        return fault

    def end_all(self, *, reset: bool = True) -> None:
        """Cut every connection off now, by a TCP reset or an orderly end."""
        for session in self.sessions:
            session.end(reset=reset)

    async def heal(self) -> None:
        """Be a good network again: take connections, let everything through, forget cuts that have not happened."""
        self.rule = let_all_pass
        self._passage.faults.clear()
        self.resume()
        await self.listen()

    async def close(self) -> None:
        """Refuse connections and end those that there are."""
        await self.refuse()
        self.end_all(reset=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _plan(
        self, does: Do | Damage, message: str, says: str, way: Way | None, nth: int, standing: Standing | None
    ) -> Fault:
        fault = Fault(does, way, message, says.encode(), whole_number(nth, "nth", 1), standing)
        fault.name = checked_name(message, way)
        return self._planned(fault)

    def _plan_at_byte(self, does: Do | Damage, number: int, way: Way, session: int | None) -> Fault:
        if session is not None:
            whole_number(session, "session", 1)
        return self._planned(Fault(does, way, within=session, at_byte=whole_number(number, "number", 0)))

    def _planned(self, fault: Fault) -> Fault:
        self._passage.faults.planned.append(fault)
        return fault

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
                self._passage.pump(session, Way.TO_SERVER, Incoming(from_client)),
                self._passage.pump(session, Way.TO_CLIENT, Incoming(from_server)),
            )
        finally:
            session.end(reset=False)


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
