"""Notifications, on a connection of their own beside the pool's."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Self
from weakref import WeakSet, finalize

from dbpool.connection import PlainConnection
from dbpool.core.identifier import problem_with
from dbpool.core.mailbox import Gap, Mailbox, Notification
from dbpool.core.retry import Backoff
from dbpool.driver import Driver
from dbpool.errors import PoolClosed, ServerUnavailable, SettingsError, UsageError
from dbpool.faults import is_lost, one_line, sqlstate
from dbpool.settings import PoolSettings

log = logging.getLogger("dbpool")

# A quiet connection is asked for a sign of life this often: a network that forgot it says nothing by itself.
HEARTBEAT_S = 30.0
_BACKOFF = Backoff(first_s=0.05, cap_s=5.0)


class Subscription:
    """The events of some channels, in order: what ``DatabasePool.listen`` returns.

    An async context manager, which listens when the block begins, and an async iterator, which else begins to with its
    first step. One task iterates. Cancelling a step loses nothing.
    """

    # joined is None: new.  Not done: waits for LISTEN.  Done: listens, through every reconnect, until it is over.
    __slots__ = ("__weakref__", "_listeners", "_mailbox", "_wakeup", "channels", "is_cut_off", "joined", "over")

    def __init__(self, listeners: Listeners, channels: frozenset[str], buffer: int) -> None:
        self._listeners = listeners
        self._mailbox = Mailbox(buffer)
        self._wakeup: asyncio.Future[None] | None = None
        self.channels = channels
        self.joined: asyncio.Future[Exception | None] | None = None
        self.is_cut_off = False  # the connection was lost, and does not listen again yet
        self.over: Exception | None = None

    async def __aenter__(self) -> Self:
        if self.joined is not None:
            raise UsageError("this listen() was used already: call listen() for each loop")
        try:
            await self._listeners.join(self)
        except BaseException:
            self.end(StopAsyncIteration())
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.end(StopAsyncIteration())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notification | Gap:
        if self.over is None and not self.has_joined:
            await self._listeners.join(self)  # again, where a step that did was cancelled
        while (event := self._mailbox.take()) is None:
            if self.over is not None:
                raise self.over
            if self._wakeup is not None:
                raise UsageError("another task waits for the next notification: each task needs a listen() of its own")
            self._wakeup = asyncio.get_running_loop().create_future()
            try:
                await self._wakeup
            finally:
                self._wakeup = None
        return event

    @property
    def has_joined(self) -> bool:
        return self.joined is not None and self.joined.done() and self.joined.result() is None

    def end(self, why: Exception) -> None:
        """Listen no more; the iteration raises *why* once it has come to the end of what is there."""
        if self.over is None:
            self.over = why
            self._listeners.leave(self)
            self._wake()

    def deliver(self, notification: Notification) -> None:
        self._mailbox.put(notification)
        self._wake()

    def mend(self) -> None:
        """It listens again."""
        self.is_cut_off = False
        self._mailbox.put_break()
        self._wake()

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)


class Listeners:
    """One connection that listens to every channel that somebody subscribed to.

    Opened for the first subscription, closed after the last. It is not counted in ``max_connections``: a listener holds
    its connection for ever, and must not cost a permit.
    """

    def __init__(self, driver: Driver, settings: PoolSettings) -> None:
        self._driver = driver
        self._settings = settings
        self._members: WeakSet[Subscription] = WeakSet()  # so that a loop left without a block is forgotten, too
        self._changed = asyncio.Event()  # members came or went, or the connection was lost
        self._keeper: asyncio.Task[None] | None = None
        self._stopped: asyncio.Task[None] | None = None  # the keeper, where it was told to end
        self._failures = 0
        self._is_paused = self._is_closed = False

    def check_session(self) -> None:
        """Raises: UsageError: a pooler shares sessions out, and a LISTEN in one of them would hear nothing."""
        route = self._driver.route
        if route.shares_sessions:
            raise UsageError(
                f"pool '{self._settings.name}' goes through {route.mode}, where LISTEN hears nothing: have a second "
                f"pool with the server's own address for listen()"
            )

    async def join(self, member: Subscription) -> None:
        """Return once the server listens for *member*.

        Raises:
            ServerUnavailable: it cannot be reached, or does not let one listen; the cause is the driver's error.
            PoolClosed: the pool was closed.
        """
        if self._is_closed:
            raise self._closed()
        if member.joined is None:
            self._add(member)
        assert member.joined is not None
        limit = self._settings.connect_timeout + self._settings.reset_timeout
        await asyncio.wait([member.joined], timeout=limit)  # not awaited itself, for another step may wait for it
        if member.joined.done():
            refusal = member.joined.result()
        else:
            why = ": it is paused" if self._is_paused else ""
            refusal = ServerUnavailable(f"pool '{self._settings.name}' does not listen after {limit:.1f} s{why}")
        if refusal is not None:
            member.end(refusal)
            raise refusal

    def leave(self, member: Subscription) -> None:
        self._members.discard(member)
        self._changed.set()

    async def close(self, timeout: float) -> None:
        """End every subscription with PoolClosed; close the connection, or cut it off after *timeout* seconds."""
        self._is_closed = True
        self._end_all()
        await self._wait_stopped(timeout)

    def pause(self) -> None:
        """Open no connection until ``resume``."""
        self._is_paused = True

    async def wait_paused(self, timeout: float) -> None:
        """Close the connection, or cut it off after *timeout* seconds; nothing if it was resumed meanwhile."""
        if self._is_paused:
            await self._wait_stopped(timeout)

    def resume(self) -> None:
        """Listen again, with a Gap for everyone."""
        self._is_paused = False
        self._start()

    def drain(self) -> None:
        """Replace the connection, with a Gap for everyone."""
        self._stop()

    async def _wait_stopped(self, timeout: float) -> None:
        if (keeper := self._stop()) is not None:
            await asyncio.wait([keeper], timeout=timeout)
            if not keeper.done():
                keeper.cancel()  # in the closing of its connection, which this ends
                await asyncio.wait([keeper])

    def _add(self, member: Subscription) -> None:
        loop = asyncio.get_running_loop()
        member.joined = loop.create_future()
        self._members.add(member)
        finalize(member, _call_in, loop, self._changed.set).atexit = False
        self._changed.set()
        self._start()

    def _start(self) -> None:
        if self._keeper is None and self._members and not (self._is_paused or self._is_closed):
            self._keeper = asyncio.get_running_loop().create_task(self._keep())
            self._keeper.add_done_callback(self._ended)

    def _stop(self) -> asyncio.Task[None] | None:
        """Have the keeper close its connection and end; return it."""
        keeper = self._keeper
        if keeper is not None and self._stopped is not keeper:
            self._stopped = keeper
            keeper.cancel()
        return keeper

    def _ended(self, keeper: asyncio.Task[None]) -> None:
        """Begin anew, unless a pause goes on, nobody listens, or somebody else cancelled the keeper."""
        self._keeper = None
        for member in self._members:
            member.is_cut_off = True
        if keeper.cancelled() and keeper is not self._stopped:
            self._end_all()
        self._stopped = None
        self._start()

    async def _keep(self) -> None:
        """Keep a connection that listens, for as long as there are members."""
        while self._members:
            try:
                connection = await self._driver.connect_apart()
            except Exception as error:
                self._failed(error, is_lost=False)
            else:
                await self._use(connection)
            for member in self._members:
                member.is_cut_off = True
            self._changed.clear()
            if self._members and self._failures:
                await self._wait(_BACKOFF.delay_s(self._failures, random.random()))

    async def _use(self, connection: PlainConnection[Any]) -> None:
        """Listen until *connection* is lost or nobody wants it any more; close it."""
        try:
            await self._listen(connection)
        except Exception as error:
            self._failed(error, is_lost=sqlstate(error) is None or is_lost(error))
        finally:
            with suppress(Exception):  # it is cut off then, and nobody needs to know
                await connection.close(timeout=self._settings.reset_timeout)

    async def _listen(self, connection: PlainConnection[Any]) -> None:
        connection.add_termination_listener(lambda _: self._changed.set())
        listening: set[str] = set()
        while wanted := frozenset().union(*(member.channels for member in self._members)):
            self._changed.clear()
            await self._follow(connection, wanted, listening)
            if not await self._wait(HEARTBEAT_S):
                await connection.execute("SELECT 1")
            if connection.is_closed():
                raise ConnectionResetError("the server closed the connection that listens")

    async def _follow(self, connection: PlainConnection[Any], wanted: frozenset[str], listening: set[str]) -> None:
        """Bring *listening* to what is *wanted*; tell those who have all of theirs."""
        for channel in wanted - listening:
            await connection.add_listener(channel, self._deliver)
            listening.add(channel)
        for channel in listening - wanted:
            await connection.remove_listener(channel, self._deliver)
            listening.remove(channel)
        if self._failures:
            log.warning("pool '%s' listens again", self._settings.name)
        self._failures = 0
        for member in self._members:
            if member.joined is None or not member.channels <= listening:
                continue
            if not member.joined.done():
                member.is_cut_off = False
                member.joined.set_result(None)
            elif member.is_cut_off:  # only now: whoever reads anew upon a gap misses nothing from here on
                member.mend()

    async def _wait(self, seconds: float) -> bool:
        """Until something changed; False if *seconds* went by before."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _deliver(self, _: object, pid: int, channel: str, payload: object) -> None:
        notification = Notification(channel, str(payload), pid)
        for member in list(self._members):
            if channel in member.channels:
                member.deliver(notification)

    def _failed(self, error: Exception, *, is_lost: bool) -> None:
        """Note it; unless the connection was merely *lost*, tell it to those who wait for their first LISTEN."""
        self._failures += 1
        name = self._settings.name
        if self._failures == 1:
            log.warning("pool '%s' does not listen at the moment: %s", name, one_line(error))
        for member in list(self._members):
            if not is_lost and member.joined is not None and not member.joined.done():
                unavailable = ServerUnavailable(f"pool '{name}' cannot listen: {one_line(error)}")
                unavailable.__cause__ = error
                member.joined.set_result(unavailable)

    def _end_all(self) -> None:
        for member in list(self._members):
            if member.joined is not None and not member.joined.done():
                member.joined.set_result(self._closed())
            member.end(self._closed())

    def _closed(self) -> PoolClosed:
        return PoolClosed(f"pool '{self._settings.name}' was closed: it listens no more")


def _call_in(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Have *loop* make the *call*, from whichever thread the garbage is collected in."""
    with suppress(RuntimeError):  # the loop is closed, and nobody listens there
        loop.call_soon_threadsafe(call)


def checked_channels(channels: Iterable[str]) -> frozenset[str]:
    """Refuse what is not a channel's name; each is taken as it is, upper and lower case and quotes included.

    Raises: SettingsError.
    """
    names = list(channels)
    if not names:
        raise SettingsError("listen() needs at least one channel")
    for name in names:
        if (problem := problem_with(name)) is not None:
            raise SettingsError(f"no channel can have the name {name!r:.80}: {problem}")
    return frozenset(names)
