"""A connection that knows what is between it and the server, and when it is of no more use."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Protocol

import asyncpg
from asyncpg.connect_utils import _cancel as request_cancel  # type: ignore[attr-defined]

from dbpool.core.route import DIRECT, Route
from dbpool.events import Reason
from dbpool.rowsending import SendingConnection

FIRST_STOP_AGAIN_S = 0.1  # each pause is twice the one before: a request is a connection, which the server pays for


# After each request through a pooler, for the statement to end, which takes milliseconds. It drops a request that comes
# while the statement still waits for a server; cut off after the last, it drops that as well.
_POOLERS_PAUSES_S = (0.1, 0.4)
# For one request. A pooler that has no connection to pass it on by keeps it in line, and with it PgBouncer 1.24 keeps
# what is to be stopped from everybody else, though it may have ended; one that it passes on takes milliseconds.
_REQUEST_S = 1.0


class Stoppable(Protocol):
    """A connection on which something may run."""

    async def stop_statement(self) -> None: ...


async def keep_stopping(connection: Stoppable) -> None:
    """Ask the server to stop what runs there, or comes to run: again and again, ever more rarely."""
    pause_s = FIRST_STOP_AGAIN_S
    while True:
        with suppress(Exception):
            await connection.stop_statement()
        await asyncio.sleep(pause_s)
        pause_s *= 2


class RoutedConnection(SendingConnection):
    """Behind a pooler, the session that it has is perhaps not its own, and a request to cancel not what it was."""

    __slots__ = ("_backend", "retired_for", "route")

    route: Route
    retired_for: Reason | None  # why it is to be closed when its lease ends, though nothing is wrong with it

    def __init__(self, protocol: Any, *args: Any) -> None:
        super().__init__(protocol, *args)
        self._backend = (protocol.backend_pid, protocol.backend_secret)
        self.route = DIRECT
        self.is_broken, self.doomed_by, self.retired_for = False, "", None

    def follow(self, route: Route) -> None:
        """Do from now on what *route* asks for."""
        me: Any = self
        self.route = route
        if route.shares_sessions:
            # asyncpg would switch it off in one session, and on again in another
            me._server_caps = me._server_caps._replace(jit=False)
            if not route.keeps_prepared:
                me._stmt_cache.set_max_size(0)
        me._stmt_cache_enabled = me._stmt_cache.get_max_size() > 0  # without it statements have no names

    def retire(self, reason: Reason) -> None:
        """Have it closed when its lease ends."""
        self.is_broken = True
        self.retired_for = self.retired_for or reason

    def check_fit(self) -> None:
        """Raise asyncpg's errors for a connection that is closed or doomed."""
        me: Any = self
        me._check_open()
        if self.doomed_by:
            raise asyncpg.ConnectionDoesNotExistError(
                f"{self.doomed_by}: this connection is closed when its lease ends, an open transaction is not stored"
            )

    def _cancel_current_command(self, *waiters: Any) -> None:
        """As asyncpg's; a pooler may pass the request on later than it says, and to whatever runs then."""
        if not self.route.is_direct:
            self.doom("a statement was cancelled through a pooler")
            self.retire(Reason.CANCELLED)
        super()._cancel_current_command(*waiters)  # type: ignore[misc]

    async def _cancel(self, sent: asyncio.Future[None], ended: asyncio.Future[None] | None = None) -> None:
        """As asyncpg's: to be told when the request was *sent*, and to tell when the statement has *ended*.

        A request that is under way has its second, whoever leaves: PgBouncer 1.18 may not survive it (its issue 801).
        """
        if self.route.is_direct:
            await super()._cancel(sent, ended)  # type: ignore[misc]
            return
        me: Any = self
        try:
            for pause_s in _POOLERS_PAUSES_S:
                await asyncio.shield(asyncio.ensure_future(self._request_stop()))
                if not sent.done():
                    sent.set_result(None)
                if ended is None:
                    return
                await asyncio.wait([ended], timeout=pause_s)
                if ended.done():
                    return
            self.terminate()
        except asyncio.CancelledError:  # by the end of the connection
            pass
        finally:
            me._cancellations.discard(asyncio.current_task())
            if not sent.done():
                sent.set_result(None)

    async def _request_stop(self) -> None:
        with suppress(OSError):  # a TimeoutError is one
            async with asyncio.timeout(_REQUEST_S):
                await self.stop_statement()

    async def stop_statement(self) -> None:
        """Ask the server to stop what runs here, also after a cut; whoever waits for the answer gets it as ever."""
        me: Any = self
        pid, secret = self._backend
        await request_cancel(loop=me._loop, addr=me._addr, params=me._params, backend_pid=pid, backend_secret=secret)
