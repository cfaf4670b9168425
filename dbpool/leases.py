"""Who has which connection, and where one goes when its lease ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack

from dbpool.connecting import Connector
from dbpool.connection import PooledConnection
from dbpool.core.evictions import Evictions
from dbpool.core.permits import HOLDING, WAITING, Line
from dbpool.driver import Driver
from dbpool.events import Closed, Closing, ConnectionClosed, DeadlockFound, Events, Reason
from dbpool.finish import Cleanups
from dbpool.gate import Gate
from dbpool.lease import Lease
from dbpool.leaseholder import Leaseholder
from dbpool.quarantine import Quarantine
from dbpool.report import Caller
from dbpool.serverkinds import checked_target, is_unsuited, kind_of, server_of
from dbpool.settings import PoolSettings, Reset
from dbpool.sites import Site
from dbpool.waiter import Waiter
from dbpool.wording import counted

log = logging.getLogger("dbpool")

# A connection that rested longer than this is asked whether it still lives before a caller gets it (pgxpool's rule).
PING_AFTER_S = 1.0


class LeaseCounters:
    """What happened to leases since the pool was opened."""

    __slots__ = ("discarded_total", "handed_on_total", "resets_total")

    def __init__(self) -> None:
        self.handed_on_total = self.resets_total = self.discarded_total = 0


class Leases:
    """Who has which connection; where a connection goes when its lease ends.

    A connection is in one place at any time: with a leaseholder, in a cleanup (which holds the leaseholder's permit
    until it is over), idle, or on its way to the next in line.
    """

    def __init__(
        self,
        settings: PoolSettings,
        driver: Driver | None = None,
        gate: Gate | None = None,
        events: Events | None = None,
    ) -> None:
        self._settings = settings
        self._resets_always = settings.reset is Reset.ALWAYS
        self._resets_never = settings.reset is Reset.NEVER
        self.driver = driver or Driver(settings)
        self.events = events or Events()
        self.connector = Connector(self.driver, settings, self.events, self._spare)
        self.gate = gate or Gate(
            settings.max_connections,
            max_waiting=settings.max_waiting,
            timeout=settings.acquire_timeout,
            name=f"pool '{settings.name}'",
            deadline_aware=settings.deadline_aware,
            adaptive=settings.adaptive,
            warn_nested=settings.warn_nested,
        )
        self.gate.refusals.advice = self._advice
        self.gate.refusals.notes = self.connector.notes
        self.gate.on_deadlock = lambda error: self.events.tell(DeadlockFound(str(error)))
        # Of the pool's own work, which is soon over: as far as permits are free, it may use what lanes have reserved.
        self._own_line = Line(reserved=settings.max_connections)
        self.counters = LeaseCounters()
        self.resting: list[PooledConnection] = []
        """Those that nobody uses, the ones that rested longest first."""
        self.suspects: dict[Waiter, Caller] = {}
        """Holders told as suspected of a leak, and as what; one that is taken back is none any more."""
        self.cleanups = Cleanups()
        self.quarantine = Quarantine(settings, self.events)
        self._target = checked_target(settings)
        self._evictions = Evictions()
        self.on_doubt: Callable[[PooledConnection], None] | None = None
        """Told of each connection on which an answer is awaited that may never come, for nobody but the pool."""

    @property
    def idle(self) -> int:
        return len(self.resting)

    @property
    def zombies(self) -> int:
        """Connections that were cut off, whose backends may live on."""
        return self.quarantine.zombies + self.connector.zombies + self.driver.zombies

    @property
    def surplus(self) -> int:
        """Connections beyond the capacity, without those that are to be closed when their lease ends."""
        return sum(not connection.is_broken for connection in self.driver.connections) - self.gate.capacity

    @property
    def spare(self) -> list[PooledConnection]:
        """Idle connections that nobody counts on; each caller that was granted a permit just now takes one of them."""
        coming = sum(
            isinstance(each, Leaseholder) and not (each.connection or each.quarantine or each.asker is None)
            for each in self.gate.holding
        )
        return self.resting[: max(0, len(self.resting) - coming)]

    async def open(self) -> None:
        """Make the driver's pool and open ``min_connections``, at least one, so that a wrong address is found now.

        Raises:
            ServerUnavailable: the first connect failed.
        """
        self.loop = asyncio.get_running_loop()
        await self.driver.open(self.gate.capacity)
        async with AsyncExitStack() as held:
            for _ in range(max(1, min(self._settings.min_connections, self.gate.capacity))):
                await held.enter_async_context(self.lease(self._settings.connect_timeout + 1.0, self._own_line))

    def lease(self, timeout: float, line: Line | None = None, site: Site | None = None) -> Lease:
        """Hold a connection for the length of a block, which may do anything with it: ``async with leases.lease(30)``.

        Args:
            line: the lane's, in which to wait; None: that of those who come by no lane.
            site: where in the program it is asked for.
        Raises: AcquireTimeout, LineFull, PoolClosed, ServerUnavailable.
        Cancelling: leaves the line, or gives the lease back; what needs time for that runs in the pool's own task.
        """
        return Lease(self, Leaseholder(line or self.gate.line, site), timeout)

    async def obtain(self, holder: Leaseholder, deadline: float, asked_at: float) -> PooledConnection:
        """The connection of a holder that has a permit: its own, an idle one that lives, or a new one.

        Args:
            asked_at: when it asked for the permit, by the loop's clock.
        """
        assert holder.place is HOLDING, holder.place
        loop = asyncio.get_running_loop()
        if holder.connection is None:
            holder.connection = self.take_idle(loop.time())
        if holder.connection is not None and not holder.connection.is_closed():
            return holder.connection  # nothing to wait for, so no need of a time limit
        try:
            async with asyncio.timeout_at(deadline):
                while holder.connection is None or holder.connection.is_closed():
                    if holder.connection is not None:
                        await self._wait_gone(holder, holder.connection)
                    if not self.resting:
                        holder.connection = await self.connector.obtain(self.gate.refusals.named(holder.line))
                        if self.surplus > 0:  # the pool was made smaller meanwhile
                            holder.connection.retire(Reason.SURPLUS)
                        break
                    holder.connection = self.resting.pop()
                    if not await self._is_alive(holder.connection, loop.time()):
                        await holder.connection.discard(self._settings.reset_timeout)
        except TimeoutError:
            now = loop.time()
            advice = self.connector.advice(now)
            raise self.gate.refusals.acquire_timeout(
                holder.line, now - asked_at, now, advice
            ) from self.connector.hindrance
        return holder.connection

    def take_idle(self, now: float) -> PooledConnection | None:
        """The idle connection that rested least, if it can be used without asking the server."""
        idle = self.resting
        if not idle or now - idle[-1].seen_alive_at > PING_AFTER_S or now >= idle[-1].expires_at:
            return None
        return idle.pop()

    def settle(self, holder: Leaseholder, *, interrupted: bool = False) -> asyncio.Task[None] | None:
        """End *holder*'s stay, wherever it stands; return the cleanup that still keeps its permit, if any.

        The one way out of a lease, and of the line. An *interrupted* one leaves a connection that owes a cleanup.
        """
        connection = holder.connection
        if interrupted and connection is not None:
            connection.is_interrupted = True
        if connection is not None and self.is_clean(connection):
            self.pass_on(holder, connection)
            return None
        holder.connection = None
        if connection is None:
            if holder.place is WAITING or holder.place is HOLDING:  # else it was refused
                self._leave(holder)
        elif connection.is_closed():
            self._end(holder, connection, Reason.LOST)
        else:
            if connection.is_demoted:
                self.evict(connection)
            if interrupted and self.on_doubt is not None:
                self.on_doubt(connection)
            holder.asker, holder.afterwards = None, "its connection is being closed or reset"
            cleanup = self.cleanups.start(self._clean(holder, connection))
            cleanup.add_done_callback(lambda _: self._unless_cleaned(holder, connection))
            return cleanup
        return None

    async def _close_idle(self, timeout: float) -> int:
        """Close every idle connection, after the gate; return how many did not end in time and were cut off."""
        idle, self.resting = self.resting, []
        try:
            await asyncio.gather(*(connection.discard(timeout) for connection in idle))
        finally:
            cut_off = sum(connection.remains is not None for connection in idle)
            for connection in idle:
                self._drop(connection, Reason.POOL_CLOSED)
        return cut_off

    async def close(self, timeout: float) -> None:
        """Refuse newcomers, fail the line, give leases *timeout* seconds to end, then cut off what is left."""
        cut_off: tuple[Caller, ...] = ()
        self.gate.close_nowait()
        self.events.tell(Closing())
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                await self.connector.close()
                await self.gate.wait_empty()
            if stubborn := await self._close_idle(max(0.0, deadline - clock())):
                self._warn_cut_off(counted(stubborn, "idle connection"), timeout)
        except TimeoutError:
            report = self.gate.report()
            cut_off = report.holders
            self._warn_cut_off(counted(report.held, "lease"), timeout, report.holders_in_short())
        finally:  # also when cancelled
            try:
                if self.gate.held:
                    await self.driver.stop_statements(min(timeout, self._settings.reset_timeout))
            finally:
                for connection in self.driver.connections:
                    connection.retire(Reason.POOL_CLOSED)
                for connection in self.resting:
                    self._drop(connection, Reason.POOL_CLOSED)
                self.resting.clear()
                self.driver.terminate()  # which ends the cleanups, too
                await self.quarantine.close()
        await self.cleanups.wait_all()
        self.events.tell(Closed(cut_off))

    def _warn_cut_off(self, what: str, timeout: float, holders: str = "") -> None:
        text = "%s: %s had not ended %g s after close(): cut off%s"
        log.warning(text, self.gate.name, what, timeout, holders)

    def is_clean(self, connection: PooledConnection) -> bool:
        """Whether the next caller may have *connection* as it is."""
        if self._target is not None and is_unsuited(connection, self._target):
            return False
        owes_reset = self._resets_always if connection.keeps_session else not self._resets_never
        return not owes_reset and connection.is_quiet

    def pass_on(self, holder: Leaseholder, connection: PooledConnection) -> None:
        """Give *holder*'s clean connection, and its permit, to whoever is next."""
        holder.connection = connection.last_sql = None
        if self.connector.is_wanted and self.connector.offer(connection):
            self.gate.leave(holder)
        elif self.gate.leave(holder, connection):
            self.counters.handed_on_total += 1
        else:
            self._rest(connection)

    async def _clean(self, holder: Leaseholder, connection: PooledConnection) -> None:
        is_clean, reason = False, Reason.BROKEN
        try:
            if not connection.is_broken:
                reason = Reason.RESET_FAILED
                self.counters.resets_total += 1
                await connection.clean(self._settings.reset_timeout)
                is_clean = True
        except Exception:  # noqa: S110 - whatever it was, the connection is closed below, which is the remedy
            pass
        finally:
            if is_clean:
                self.pass_on(holder, connection)
            elif not self.loop.is_closed():  # else it is collected after it, and waits for nothing any more
                try:
                    await connection.discard(self._settings.reset_timeout)
                finally:
                    self._end(holder, connection, reason)

    def _unless_cleaned(self, holder: Leaseholder, connection: PooledConnection) -> None:
        """Somebody cancelled the cleanup before its first turn: every task of the loop, say."""
        if holder.place is HOLDING and holder.quarantine is None:
            self._end(holder, connection, Reason.BROKEN)

    async def _is_alive(self, connection: PooledConnection, now: float) -> bool:
        if now >= connection.expires_at:
            connection.retire(connection.expires_for)
        elif not connection.is_closed():
            if now - connection.seen_alive_at <= PING_AFTER_S:
                return True
            if self.on_doubt is not None:
                connection.is_interrupted = True
                self.on_doubt(connection)
            if not await connection.ping(self._settings.reset_timeout):
                connection.retire(Reason.UNANSWERED)
            elif self._target is None or not is_unsuited(connection, self._target):
                connection.is_interrupted = False
                return True
        return False

    def _advice(self) -> str:
        """What one who timed out in line should do."""
        if self.connector.is_hindered(self.loop.time()):
            return self.connector.advice(self.loop.time())
        return "Shorten its transactions, or raise max_connections."

    def _spare(self, connection: PooledConnection) -> None:
        """Take a connection for which nobody waits any more."""
        self._rest(connection)
        if self.surplus > 0 and connection in self.spare:  # the pool was made smaller meanwhile
            self.retire_resting(connection, Reason.SURPLUS, beyond=True)

    def _rest(self, connection: PooledConnection) -> None:
        connection.idle_since = connection.seen_alive_at = self.loop.time()
        self.resting.append(connection)

    def seize(self, *, beyond: bool = False) -> Leaseholder | None:
        """A permit for the pool's own work, to be settled; None if none is free, unless *beyond* the capacity."""
        holder = Leaseholder(self._own_line)
        return holder if self.gate.seize(holder, self.loop, beyond=beyond) else None

    def evict(self, demoted: PooledConnection) -> None:
        """Have every connection to a server closed that is not, or no longer, of the kind that is wanted."""
        server = server_of(demoted)
        if not self._evictions.allows(self.loop.time()):
            return
        evicted = [each for each in self.driver.connections if server_of(each) == server]
        log.warning(
            "%s: its server %s; %d connections to it are replaced", self.gate.name, kind_of(demoted), len(evicted)
        )
        if self.driver.reaching is not None:
            self.driver.reaching.demoted(server)
        for connection in evicted:
            connection.expires_at, connection.expires_for = 0.0, Reason.OTHER_SERVER  # where no permit is free now
            if connection in self.resting:
                self.retire_resting(connection, Reason.OTHER_SERVER)
            else:
                connection.retire(Reason.OTHER_SERVER)

    def abandon(self, server: object) -> None:
        """Cut off every connection to a server that is silent, and count none of them any more."""
        self.quarantine.release(server)
        for connection in self.driver.connections:
            if server_of(connection) != server:
                continue
            connection.retire(Reason.UNANSWERED)
            connection.terminate()
            if connection.remains is not None:
                connection.remains.close()
                connection.remains = None
            if connection in self.resting:
                self.resting.remove(connection)
                self._drop(connection, Reason.UNANSWERED)

    def retire_resting(self, connection: PooledConnection, reason: Reason, *, beyond: bool = False) -> None:
        """Close a connection that nobody uses; nothing happens if no permit is free, unless *beyond* the capacity."""
        holder = self.seize(beyond=beyond)
        if holder is not None:
            self.resting.remove(connection)
            connection.retire(reason)
            holder.connection = connection
            self.settle(holder)

    # The end of a connection: its permit is free when its backend has ended

    def _end(self, holder: Leaseholder, connection: PooledConnection, reason: Reason) -> None:
        holder.quarantine = self._drop(connection, reason)
        self._leave(holder)

    def _leave(self, holder: Leaseholder) -> None:
        if holder.quarantine is None or holder.quarantine.done():
            self.gate.leave(holder)
        else:
            holder.asker, holder.afterwards = None, "in quarantine: the backend of its connection may live on"
            holder.quarantine.add_done_callback(lambda _: self._left_quarantine(holder))

    def _left_quarantine(self, holder: Leaseholder) -> None:
        if holder.place is HOLDING:  # two may have ended the lease meanwhile, as its holder and the driver's own close
            self.gate.leave(holder)

    async def _wait_gone(self, holder: Leaseholder, connection: PooledConnection) -> None:
        """The same for a holder who wants another connection."""
        holder.connection = None
        holder.quarantine = self._drop(connection, Reason.LOST)
        if holder.quarantine is not None:
            await asyncio.wait([holder.quarantine])
            holder.quarantine = None

    def _drop(self, connection: PooledConnection, reason: Reason) -> asyncio.Task[bool] | None:
        """Count a connection as closed; return what waits for the end of its backend, if that may live on."""
        self.counters.discarded_total += 1
        connection.terminate()
        self.events.tell(ConnectionClosed(connection.retired_for or reason, is_gone=connection.remains is None))
        return self.quarantine.admit(connection)
