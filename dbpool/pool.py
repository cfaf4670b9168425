"""DatabasePool: everything a caller sees of the pool."""

from __future__ import annotations

import asyncio
import inspect
import os
import weakref
from collections.abc import Callable, Generator, Mapping
from functools import cached_property
from threading import get_ident
from typing import TYPE_CHECKING, Any, Self, Unpack

from dbpool.core.pacing import Rate
from dbpool.core.permits import Line
from dbpool.dsn import Dsn
from dbpool.errors import PoolClosed, UsageError
from dbpool.events import Events, Listener
from dbpool.lane import Lane
from dbpool.leases import Leases
from dbpool.oneshot import Calls
from dbpool.phase import Phase
from dbpool.queries import checked_timeout
from dbpool.report import Report
from dbpool.settings import PoolSettings, seconds_from_zero, whole_number
from dbpool.sizing import Sizing
from dbpool.slowness import watch_slow
from dbpool.upkeep import Upkeep

if TYPE_CHECKING:
    from dbpool.bulk.coalesce import Coalescer
    from dbpool.bulk.plans import Plans
    from dbpool.doubt import Doubt
    from dbpool.listening import Listeners, Subscription
    from dbpool.options import Options
    from dbpool.pausing import Pauses
    from dbpool.stats import PoolStats

_pools: weakref.WeakSet[DatabasePool] = weakref.WeakSet()


class DatabasePool(Lane):
    """A bounded, fair pool of PostgreSQL connections.

    At most *max_connections* are open; callers beyond that wait in one line, first come, first served.

    Args:
        dsn: ``postgresql://user:password@host:5432/database``; never shown by any message.
        max_connections: the bound, at least 1.
        options: see PoolSettings.
    Raises:
        SettingsError: a setting is out of range or the DSN is malformed.
    Example::

        async with DatabasePool("postgresql://app@localhost/shop", max_connections=10) as db:
            rows = await db.query("select * from users where id = $1", 7)
    """

    def __init__(self, dsn: str, max_connections: int = 5, **options: Unpack[Options]) -> None:
        values: Mapping[str, Any] = {"dsn": dsn, "max_connections": max_connections, **options}
        self._begin(PoolSettings.from_mapping(values))

    @classmethod
    def from_settings(cls, settings: PoolSettings) -> Self:
        """A pool with *settings*, as from ``PoolSettings.from_env()``."""
        pool = cls.__new__(cls)
        pool._begin(settings)
        return pool

    @classmethod
    def from_env(
        cls, *, prefix: str = "DBPOOL_", url: str = "DATABASE_URL", max_connections: int = 5, **options: Unpack[Options]
    ) -> Self:
        """A pool as ``DATABASE_URL``, ``DBPOOL_MAX_CONNECTIONS`` and the like say: see ``PoolSettings.from_env``.

        What is given here is for where no variable says it.
        """
        defaults = {"max_connections": max_connections, **options}
        return cls.from_settings(PoolSettings.from_env(prefix=prefix, url=url, defaults=defaults))

    def _begin(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._phase: Phase = Phase.NEW
        self._loop: asyncio.AbstractEventLoop | None = None  # set only while the pool can be used
        self._thread = 0
        self._events = Events()
        self._run_on(Leases(settings, events=self._events))
        watch_slow(self._leases.gate.observing, settings, self._events)
        self._upkeep: Upkeep | None = None  # these are set while it is open
        self._sizing: Sizing | None = None
        self._doubt: Doubt | None = None  # of one among several servers
        super().__init__(self, self._leases.gate.line, coalesce=settings.coalesce)
        self._listeners: Listeners | None = None
        self._pauses: Pauses | None = None
        self._closing: asyncio.Task[None] | None = None
        _pools.add(self)

    def _run_on(self, leases: Leases) -> None:
        self._leases = leases
        self._calls = Calls(leases, self._settings)
        vars(self).pop("_coalescer", None)

    # What bulk work needs, loaded by those only who do some: to import it takes longer than all the rest

    @cached_property
    def _plans(self) -> Plans:
        from dbpool.bulk.plans import Plans

        return Plans()

    @cached_property
    def _coalescer(self) -> Coalescer:
        from dbpool.bulk.coalesce import Coalescer

        return Coalescer(self._calls, self._settings, self._plans)

    # Opening and closing

    async def open(self) -> Self:
        """Connect; return the pool. Does nothing if it is open.

        Raises:
            ServerUnavailable: the server cannot be reached or refuses; the cause is the driver's error.
        """
        if self._phase is Phase.OPEN:
            self._check_usable()
            return self
        if self._phase is not Phase.NEW:
            raise self._refusal()
        self._phase = Phase.OPENING
        sizing = self._equip()
        try:
            await sizing.begin()
            await self._leases.open()
        except BaseException:
            try:
                await self._leases.close(self._settings.close_timeout)
                await sizing.end()
            finally:  # as new; its lanes stay
                if self._upkeep is not None:  # a share that came meanwhile may have had it look
                    self._upkeep.stop()
                self._run_on(Leases(self._settings, gate=self._leases.gate.reopened(), events=self._events))
                self._phase = Phase.NEW
            raise
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        self._phase = Phase.OPEN
        assert self._upkeep is not None
        self._upkeep.start()
        return self

    init_pool = open

    def _equip(self) -> Sizing:
        """Make what an open pool has besides its leases; return what says how many connections it may have."""
        from dbpool.listening import Listeners
        from dbpool.pausing import Pauses

        self._upkeep = Upkeep(self._leases, self._settings)
        if len(self._settings.dsn.named.hosts) > 1:
            from dbpool.doubt import Doubt

            self._doubt = Doubt(self._leases)
            self._leases.on_doubt = self._doubt.of
        self._sizing = Sizing(self._leases, self._upkeep, self._settings)
        self._listeners = Listeners(self._leases.driver, self._settings)
        self._pauses = Pauses(self._leases, self._upkeep, self._listeners)
        return self._sizing

    async def close(self, timeout: float | None = None) -> None:
        """Refuse newcomers, fail everyone in line, let leases end, close every connection.

        Args:
            timeout: seconds for the leases to end before they are cut off, and what runs is stopped at the server;
                None: ``close_timeout``.
        Cancelling: ends the wait; the closing goes on.
        """
        timeout = checked_timeout(timeout) or self._settings.close_timeout
        if self._phase is Phase.OPEN:
            self._check_usable()
            assert self._pauses is not None
            self._loop, self._phase = None, Phase.CLOSED
            if "_coalescer" in vars(self):
                self._coalescer.close(
                    PoolClosed(f"{self._leases.gate.name} was closed while this caller waited in line")
                )
            self._pauses.end()
            self._closing = asyncio.get_running_loop().create_task(self._end(timeout))
        elif self._phase is Phase.NEW:
            self._phase = Phase.CLOSED
        elif self._phase is Phase.OPENING:
            raise self._refusal()
        if self._closing is not None:
            await asyncio.wait([self._closing])  # not awaited itself: cut off, it must not cancel its caller
            if not self._closing.cancelled():
                self._closing.result()

    async def _end(self, timeout: float) -> None:
        assert self._upkeep is not None
        assert self._listeners is not None
        self._upkeep.stop()
        if self._doubt is not None:
            self._doubt.stop()
        await asyncio.gather(self._leases.close(timeout), self._listeners.close(timeout))
        if self._sizing is not None:
            await self._sizing.end()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __await__(self) -> Generator[Any, None, Self]:
        return self.open().__await__()

    def listen(self, *channels: str, buffer: int = 1000) -> Subscription:
        """The notifications of *channels*: ``async with db.listen("orders") as events``, then ``async for`` over them.

        An event is a Notification, or a Gap where some may be missing: after the connection was lost and listens again,
        and where *buffer* unread ones were there already. All subscriptions of a pool share one connection, beside its
        ``max_connections``. The server listens when the block begins, or else with the first step of the loop.

        Raises:
            SettingsError: a channel's name that no NOTIFY can have.
            UsageError: a pooler in transaction mode is in between.
            ServerUnavailable: the server cannot be reached, when the block begins; later it is tried until it can.
            PoolClosed: the pool was closed, once all that came before is read.
        """
        from dbpool.listening import Subscription, checked_channels

        self._check_usable()
        names = checked_channels(channels)
        whole_number(buffer, "buffer", 1)
        assert self._listeners is not None
        self._listeners.check_session()
        return Subscription(self._listeners, names, buffer)

    def lane(
        self,
        name: str,
        *,
        at_most: int | None = None,
        reserved: int = 0,
        max_waiting: int | None = None,
        rate: Rate | None = None,
        coalesce: bool | None = None,
    ) -> Lane:
        """The same pool by a line of its own: ``batch = db.lane("batch", at_most=4)``, then ``await batch.fetch(...)``.

        Under saturation a permit goes to the lane that holds the fewest beyond its reserve, so that no lane starves.
        May be called before the pool is open; keep what it returns, as a name is given once.

        Args:
            name: stands in every message, in ``stats()`` and in ``report()``.
            at_most: connections that its callers may hold together; None: as many as there are.
            reserved: connections that nobody else gets, even while they are idle.
            max_waiting: callers in its line before newcomers are refused with LineFull; None: no limit.
            rate: how often its callers get a connection at the most.
            coalesce: as the setting, for its callers; None: as that says.
        Raises:
            SettingsError: there is a lane of that name, it reserves more than it may hold, or the reserves leave no
                connection for others.
        """
        line = self._leases.gate.add_line(name, at_most, reserved, max_waiting, rate)
        return Lane(self, line, coalesce=self._settings.coalesce if coalesce is None else coalesce)

    # Operations while it runs

    async def pause(self, *, timeout: float | None = None, disconnect: bool = False) -> None:
        """Grant no more connections, and wait until every lease has ended; callers wait in line until ``resume``.

        Args:
            timeout: seconds for the leases to end; None: ``close_timeout``.
            disconnect: close every connection, too, that of ``listen`` included, as for a restart of the server, and
                cut off what is not closed in time; ``resume`` opens new ones.
        Raises:
            LeasesRemain: some had not ended in time; the pool goes on as before.
            PoolClosed: it is closed, or was while this waited.
            UsageError: it was resumed while this waited.
        Cancelling: the pool goes on as before.
        """
        self._check_usable()
        assert self._pauses is not None
        await self._pauses.pause(checked_timeout(timeout) or self._settings.close_timeout, disconnect=disconnect)

    def resume(self) -> None:
        """Grant connections again, first to those who wait; does nothing if the pool is not paused."""
        self._check_usable()
        assert self._pauses is not None
        self._pauses.resume()

    def resize(self, max_connections: int) -> None:
        """Have at most so many connections from now on.

        Those in line get what is more at once. What is fewer is closed at once where it is idle, and else when its
        lease ends.

        Raises:
            SettingsError: it is less than 1 or than ``min_connections``, or leaves none beside the lanes' reserves.
        """
        self._check_usable()
        assert self._sizing is not None
        self._sizing.resize(max_connections)

    def drain(self, *, spread_over: float = 0.0) -> int:
        """Have every connection that is open now replaced, as after a failover or a change of credentials.

        Idle ones are closed when their time has come, others when their lease ends; that of ``listen`` at once, with a
        Gap. Credentials are asked for anew.

        Args:
            spread_over: seconds over which to spread it, so that the server is not met by all new ones at once.
        Returns: how many there are, beside that of ``listen``.
        """
        self._check_usable()
        assert self._upkeep is not None
        assert self._listeners is not None
        connections = self._upkeep.drain(seconds_from_zero(spread_over, "spread_over"))
        self._listeners.drain()
        return connections

    def on_event(self, listener: Listener) -> Callable[[], None]:
        """Call *listener* with each ``Event`` from now on, in order; return what stops that.

        It is called in the event loop, between two steps of the pool, and must not take long. What it raises is logged.
        """
        if not callable(listener):
            raise UsageError(f"a listener is called with each event, and {listener!r} cannot be called")
        if inspect.iscoroutinefunction(listener) or inspect.iscoroutinefunction(type(listener).__call__):
            raise UsageError(
                f"a listener is called, not awaited, so {listener!r} cannot be async: have it start a task, or put the "
                f"event into a queue"
            )
        return self._events.on(listener)

    # What it says of itself

    @property
    def dsn(self) -> Dsn:
        return self._settings.dsn

    @property
    def settings(self) -> PoolSettings:
        return self._settings

    @property
    def phase(self) -> Phase:
        """Where it is in its life: CLOSED as soon as ``close`` has begun."""
        return self._phase

    @property
    def is_paused(self) -> bool:
        """Whether nothing is granted until ``resume``."""
        return self._leases.gate.is_paused

    def report(self) -> Report:
        """Who holds a connection, since when, from where in the program, with what SQL, and where its task stands now.

        Who waits; the lanes; which places in the program held connections longest in all. ``print`` it.
        """
        return self._leases.gate.report()

    def stats(self) -> PoolStats:
        """The numbers of this moment."""
        from dbpool.snapshot import snapshot

        return snapshot(self._settings.name, self._leases, vars(self).get("_coalescer"))

    def __repr__(self) -> str:
        if self._phase is not Phase.OPEN:
            return f"<DatabasePool {self._settings.name}: {self._phase.name.lower()}>"
        gate = self._leases.gate
        text = f"{gate.held} of {gate.capacity} held, {self._leases.idle} idle, {gate.waiting} waiting"
        if gate.waiting:
            text += f" ({gate.oldest_wait_s():.1f} s at most)"
        return f"<DatabasePool {self._settings.name}: {text}>"

    # The way in

    def _check_usable(self, line: Line | None = None) -> None:
        # Says what comparing asyncio.get_running_loop() would say, which costs a system call on Python 3.11: a thread
        # has one running loop at the most.
        if self._loop is None or get_ident() != self._thread or not self._loop.is_running():
            raise self._refusal(line)

    def _refusal(self, line: Line | None = None) -> Exception:
        error = PoolClosed if self._phase is Phase.CLOSED else UsageError
        return error(f"{self._leases.gate.refusals.named(line or self._line)} {self._phase.value}")


def _poison_after_fork() -> None:
    for pool in _pools:
        if pool._phase in (Phase.OPENING, Phase.OPEN):  # one that is still to be opened has nothing to share
            pool._loop, pool._phase = None, Phase.FORKED


os.register_at_fork(after_in_child=_poison_after_fork)
