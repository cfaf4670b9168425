"""Leases that call the hooks of asyncpg's pool at its moments, and keep its sizes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import asyncpg

from dbpool.compat.connection import Borrowed
from dbpool.compat.driver import DirectConnector, RecipeDriver
from dbpool.connection import PooledConnection
from dbpool.events import Closed, Closing, Events, Reason
from dbpool.gate import Gate
from dbpool.leaseholder import Leaseholder
from dbpool.leases import Leases

if TYPE_CHECKING:
    from dbpool.compat.pool import AsyncpgPool
    from dbpool.settings import PoolSettings

log = logging.getLogger("asyncpg.pool")  # where its users look for what its pool has to say

CLOCK_S = 0.001  # a timer may be early by as much as the clock's resolution


class HookedLeases(Leases):
    """As asyncpg's pool: no ping, no greatest age; connects are made by whoever needs one, and fail to them."""

    def __init__(self, settings: PoolSettings, recipe: Any, pool: AsyncpgPool, gate: Gate, events: Events) -> None:
        self.pool = pool
        self.driver: RecipeDriver
        super().__init__(settings, RecipeDriver(recipe, settings), gate, events)
        self.driver.leases = self
        self.connector = DirectConnector(self.driver, settings, events, self._rest)
        self._setup, self._reset = recipe._setup, recipe._reset
        self._max_queries = recipe._max_queries
        self._least: int = recipe.get_min_size()
        self._inactive_s: float = recipe._max_inactive_connection_lifetime
        self._inactivity: asyncio.TimerHandle | None = None
        self.floor: asyncio.Task[None] | None = None
        self._in_setup = 0
        self.gate.sites.passed_over += (str(Path(asyncpg.__file__).parent),)  # it calls for who calls it

    @property
    def idle_size(self) -> int:
        """Connections in nobody's hands; asyncpg counts one that is being set up as such."""
        return sum(not connection.is_closed() for connection in self.resting) + self._in_setup

    async def open_first(self, size: int) -> None:
        """Open *size* connections: one first, so that what is wrong shows early, then the others together."""
        self.loop = asyncio.get_running_loop()
        if size:
            await self._add_connection()
            await asyncio.gather(*(self._add_connection() for _ in range(size - 1)))

    async def _add_connection(self) -> bool:
        """Open a connection for whoever is next; False if no permit is free, so that others have begun to."""
        holder = self.seize()
        if holder is None:
            return False
        try:
            connection = await self.connector.obtain()
        except BaseException:
            self.gate.leave(holder)
            raise
        self.pass_on(holder, connection)
        return True

    # The way of a connection

    async def obtain(self, holder: Leaseholder, deadline: float, asked_at: float) -> PooledConnection:
        try:
            connection = holder.connection = holder.connection or self.take_idle(0)
            if connection is None or connection.is_broken or connection.is_closed():
                connection = await self._replace(holder, deadline, asked_at)
            borrowed = cast(Borrowed, connection)
            borrowed.holder = holder
            if self._setup is not None:
                await self._set_up(borrowed, deadline)
        except BaseException:
            self.keep_floor()
            raise
        return connection

    async def _replace(self, holder: Leaseholder, deadline: float, asked_at: float) -> PooledConnection:
        """A new connection in the place of one that can be used no more: the holder's, an idle one, or none."""
        patience = asyncio.timeout_at(deadline)
        try:
            async with patience:
                if holder.connection is None and self.resting:
                    holder.connection = self.resting.pop()
                if holder.connection is not None:
                    await holder.connection.discard(self._settings.reset_timeout)
                    await self._wait_gone(holder, holder.connection)
                connection = holder.connection = await self.connector.obtain()
        except TimeoutError:
            if not patience.expired():  # it is one of the connect's, or of init's
                raise
            now = self.loop.time()
            raise self.gate.refusals.acquire_timeout(holder.line, now - asked_at, now) from None
        if self.surplus > 0:  # the pool was made smaller meanwhile
            connection.retire(Reason.SURPLUS)
        return connection

    def take_idle(self, now: float) -> PooledConnection | None:  # noqa: ARG002 - none is too old
        idle = self.resting
        return None if not idle or idle[-1].is_broken else idle.pop()

    def is_clean(self, connection: PooledConnection) -> bool:
        is_worn = cast(Borrowed, connection).queries >= self._max_queries
        return not is_worn and super().is_clean(connection)

    async def _set_up(self, connection: Borrowed, deadline: float) -> None:
        self._in_setup += 1
        try:
            async with asyncio.timeout_at(deadline):
                await self._setup(connection.lend())
        except BaseException as error:  # nobody knows what state it is in
            self.driver.note_raised(error)
            with suppress(Exception):
                await connection.discard(self._settings.reset_timeout)
            raise
        finally:
            self._in_setup -= 1

    async def _clean(self, holder: Leaseholder, connection: PooledConnection) -> None:
        borrowed = cast(Borrowed, connection)
        budget, borrowed._timeout = borrowed._timeout, None
        is_clean, reason = False, Reason.BROKEN
        try:
            if borrowed.retired_for is Reason.IDLE:
                pass  # asyncpg says no farewell to these
            elif borrowed.is_broken or borrowed.queries >= self._max_queries:
                await connection.close(timeout=budget)
            else:
                reason = Reason.RESET_FAILED
                self.counters.resets_total += 1
                await borrowed.reset(self._reset, budget)
                is_clean = not connection.is_closed()
        except BaseException as error:
            borrowed.release_error = error
            if _is_meant_for_task(error):
                raise
        finally:  # nothing awaits here: whoever releases it is told at once, though its backend may live on
            borrowed.detach()
            if is_clean:
                self.pass_on(holder, connection)
            else:
                self._end(holder, connection, reason)

    def closed(self, connection: Borrowed) -> None:
        """*connection* was closed, by its holder, the server or the pool: its lease ends now."""
        self.driver.closed(connection)
        with suppress(ValueError):  # it was not idle
            self.resting.remove(connection)  # type: ignore[arg-type] # it passes for a PooledConnection
        if connection.is_lent:
            connection.detach()
            if connection.is_held:
                self.settle(connection.holder)
        self.keep_floor()

    # Fewer and more connections, while nobody asks

    def _rest(self, connection: PooledConnection) -> None:
        super()._rest(connection)
        if self._inactivity is None and self._inactive_s:
            self._inactivity = self.loop.call_later(self._inactive_s, self._close_inactive)

    def _close_inactive(self) -> None:
        """Close what has rested for too long; what the floor needs stays, until it rests anew."""
        self._inactivity = None
        now = self.loop.time()
        spare = self.driver.size - self._least
        for connection in list(self.resting):  # those that rested longest come first
            left = connection.idle_since + self._inactive_s - now
            if left > CLOCK_S:
                self._inactivity = self.loop.call_later(left, self._close_inactive)
                return
            if spare > 0 and not connection.is_closed():
                spare -= 1
                self.retire_resting(connection, Reason.IDLE)

    def keep_floor(self) -> None:
        """Open connections in the background until there are ``min_size``."""
        if self.floor is None and self._is_serving and self.driver.size < self._least:
            self.floor = self.loop.create_task(self._restore_floor())

    @property
    def _is_serving(self) -> bool:
        return self.pool.is_serving and not self.gate.is_paused

    async def _restore_floor(self) -> None:
        delay_s = 1.0
        try:
            while self._is_serving and self.driver.size < self._least:
                try:
                    if not await self._add_connection():
                        return
                except Exception:
                    if not self._is_serving:
                        return
                    log.warning("Failed to restore the pool connection floor; retrying", exc_info=True)
                    await asyncio.sleep(delay_s)
                    delay_s = min(delay_s * 2, 60.0)
                else:
                    delay_s = 1.0
        finally:
            self.floor = None

    # The end

    async def close_all(self) -> None:
        """Refuse newcomers, fail the line, wait for the leases to end without a limit, close what is open."""
        self._stop()
        await self.gate.wait_empty()
        await asyncio.gather(*(connection.close() for connection in self.driver.connections))
        self.resting.clear()
        self.events.tell(Closed(()))

    def terminate(self) -> None:
        """Cut every connection off, and end what the pool does itself."""
        cut_off = self.gate.report().holders
        self._stop()
        self.driver.terminate()
        self.resting.clear()
        self.cleanups.cancel_all()
        self.events.tell(Closed(cut_off))

    def _stop(self) -> None:
        if not self.driver.is_closing:
            self.events.tell(Closing())
        self.driver.is_closing = True
        for stoppable in (self.floor, self._inactivity):
            if stoppable is not None:
                stoppable.cancel()
        self._inactivity = None
        self._inactive_s = 0
        self.gate.close_nowait()

    def start_last(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin what is left to do when the pool was terminated."""
        self.cleanups.start(work)


def _is_meant_for_task(error: BaseException) -> bool:
    """Whether *error* is to end the task that runs, and was not raised by a hook of itself."""
    task = asyncio.current_task()
    is_cancelled = task is not None and task.cancelling() > 0
    return isinstance(error, (KeyboardInterrupt, SystemExit)) or (
        isinstance(error, asyncio.CancelledError) and is_cancelled
    )
