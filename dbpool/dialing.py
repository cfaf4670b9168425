"""Connecting in such a way that a failed attempt leaves its sockets behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from dbpool.remains import Remains

T = TypeVar("T")
Factory = Callable[[], asyncio.BaseProtocol]
Opened = tuple[asyncio.Transport, asyncio.BaseProtocol]


async def dial(connect: Callable[[asyncio.AbstractEventLoop], Awaitable[T]], leave: Callable[[Remains], None]) -> T:
    """Connect; if that fails, *leave* gets what is left of each attempt: the server may be about to serve it still.

    However it fails: refused, timed out, cancelled. Nothing is left of an attempt that never reached the server, nor
    of those before one that succeeded, which were refused before they counted for anything.

    Args:
        connect: opens connections by the loop it is given, and by no other.
    """
    loop = DialingLoop(asyncio.get_running_loop())
    try:
        connection = await connect(cast("asyncio.AbstractEventLoop", loop))
    except BaseException:
        for remains in loop.release():
            remains.hang_up()
            leave(remains)
        raise
    for remains in loop.release():
        remains.close()
    return connection


class DialingLoop:
    """An event loop that keeps hold of each socket on which a connection is opened, before a byte is sent."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._held: list[Remains] | None = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the loop has by this name
        found = getattr(self._loop, name)
        setattr(self, name, found)  # the driver goes on using it after the connect
        return found

    async def create_connection(self, factory: Factory, *where: Any, **how: Any) -> Opened:  # noqa: ANN401 - the loop's
        return _met(await self._loop.create_connection(lambda: Meeting(factory(), self), *where, **how))

    async def create_unix_connection(self, factory: Factory, *where: Any, **how: Any) -> Opened:  # noqa: ANN401 - too
        return _met(await self._loop.create_unix_connection(lambda: Meeting(factory(), self), *where, **how))

    def hold(self, transport: asyncio.BaseTransport) -> None:
        if self._held is not None and (remains := Remains.of(transport)) is not None:
            self._held.append(remains)

    def release(self) -> list[Remains]:
        """What was held; nothing is from now on, such as the connections by which a statement is cancelled."""
        held, self._held = self._held or [], None
        return held


class Meeting(asyncio.Protocol):
    """Stands in for *protocol* until its connection is made."""

    def __init__(self, protocol: asyncio.BaseProtocol, loop: DialingLoop) -> None:
        self.protocol = protocol
        self._loop = loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop.hold(transport)
        cast("asyncio.Transport", transport).set_protocol(self.protocol)
        self.protocol.connection_made(transport)


def _met(opened: tuple[asyncio.Transport, Meeting]) -> Opened:
    transport, meeting = opened
    return transport, meeting.protocol
