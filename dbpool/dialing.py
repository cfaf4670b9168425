"""Connecting in such a way that a failed attempt leaves its sockets behind, and no server gets what it must not."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from asyncpg.protocol import Protocol

from dbpool.errors import InsecureConnection
from dbpool.faults import sqlstate, without_frames
from dbpool.remains import Remains
from dbpool.unreadable import unreadable_settings
from dbpool.vetting import Announcing, Vetted, bare

T = TypeVar("T")
Factory = Callable[[], asyncio.BaseProtocol]
Opened = tuple[asyncio.Transport, asyncio.BaseProtocol]

# Said by TLS, by a server that would have had it in clear text by the next attempt, as sslmode=prefer makes one.
DENIED = "28P01"


async def dial(connect: Callable[[asyncio.AbstractEventLoop], Awaitable[T]], leave: Callable[[Remains], None]) -> T:
    """Connect; if that fails, *leave* gets what is left of each attempt: the server may be about to serve it still.

    However it fails: refused, timed out, cancelled. Nothing is left of an attempt that never reached the server, nor
    of those before one that succeeded, which were refused before they counted for anything.

    Args:
        connect: opens connections by the loop it is given, and by no other.
    Raises:
        InsecureConnection: the server asked for what it must not get.
        SettingsError: the driver cannot read a file or a variable; what it says of that may quote a password.
    """
    loop = DialingLoop(asyncio.get_running_loop())
    instead: Exception | None = None
    try:
        connection = await connect(cast("asyncio.AbstractEventLoop", loop))
    except BaseException as error:
        for remains in loop.release():
            remains.hang_up()
            leave(remains)
        if isinstance(error, Exception) and sqlstate(error) != DENIED:
            instead = loop.refusal or unreadable_settings(error)
        if instead is None:
            if isinstance(error, Exception):
                without_frames(error)  # of the driver's, which hold the password
            raise
    if instead is not None:  # out here, or its context would be the one that it stands for
        raise instead
    for remains in loop.release():
        remains.close()
    opened: Any = connection
    opened._transport = bare(opened._transport)  # noqa: SLF001 - nothing else is announced
    opened._params = opened._params._replace(password=None)  # noqa: SLF001 - a request to cancel needs none
    return connection


class DialingLoop:
    """An event loop that keeps hold of each socket on which a connection is opened, before a byte is sent.

    What the server says until it is ready for queries is looked at before the driver answers it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.tls: object = None
        """What the driver was given as ``ssl``. A context that it makes itself would write its keys to a file, by
        SSLKEYLOGFILE."""
        self._held: list[Remains] | None = []
        self.refusal: InsecureConnection | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the loop has by this name
        found = getattr(self._loop, name)
        setattr(self, name, found)  # the driver goes on using it after the connect
        return found

    async def create_connection(self, factory: Factory, *where: Any, **how: Any) -> Opened:  # noqa: ANN401 - the loop's
        return self._met(await self._loop.create_connection(lambda: Meeting(factory(), self), *where, **how))

    async def create_unix_connection(self, factory: Factory, *where: Any, **how: Any) -> Opened:  # noqa: ANN401 - too
        return self._met(await self._loop.create_unix_connection(lambda: Meeting(factory(), self), *where, **how))

    async def start_tls(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.BaseProtocol,
        context: ssl.SSLContext,
        **how: Any,  # noqa: ANN401 - the loop's
    ) -> asyncio.Transport | None:
        if context is not self.tls:
            context.keylog_filename = None  # type: ignore[assignment] # typeshed does not know that it can be unset
        opened = await self._loop.start_tls(bare(transport), protocol, context, **how)
        return None if opened is None else self._announcing(opened)

    def hold(self, transport: asyncio.BaseTransport) -> None:
        if self._held is not None and (remains := Remains.of(transport)) is not None:
            self._held.append(remains)

    def introduce(self, transport: asyncio.Transport, protocol: asyncio.BaseProtocol) -> None:
        """Let *protocol* have what comes by *transport*: the driver's own only what may be answered."""
        if self._held is not None and isinstance(protocol, Protocol):
            protocol = Vetted(cast("asyncio.Protocol", protocol), transport, self._refuse)
        transport.set_protocol(protocol)

    def release(self) -> list[Remains]:
        """What was held; nothing is from now on, such as the connections by which a statement is cancelled."""
        held, self._held = self._held or [], None
        return held

    def _refuse(self, refusal: InsecureConnection) -> None:
        self.refusal = refusal

    def _met(self, opened: tuple[asyncio.Transport, Meeting]) -> Opened:
        transport, meeting = opened
        return self._announcing(transport), meeting.protocol

    def _announcing(self, transport: asyncio.Transport) -> asyncio.Transport:
        """The driver talks TLS, or without, on a transport that it is given before it sets its protocol."""
        return transport if self._held is None else cast("asyncio.Transport", Announcing(transport, self.introduce))


class Meeting(asyncio.Protocol):
    """Stands in for *protocol* until its connection is made."""

    def __init__(self, protocol: asyncio.BaseProtocol, loop: DialingLoop) -> None:
        self.protocol = protocol
        self._loop = loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop.hold(transport)
        self._loop.introduce(cast("asyncio.Transport", transport), self.protocol)
        self.protocol.connection_made(transport)
