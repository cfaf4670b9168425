"""Keeps an open pool's connections fresh: none too old, too idle, too many or too few."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial

from dbpool.connection import PooledConnection
from dbpool.events import Draining, LeakReturned, LeakSuspected, Reason
from dbpool.leaseholder import Leaseholder
from dbpool.leases import Leases
from dbpool.report import caller
from dbpool.settings import PoolSettings
from dbpool.waiter import Waiter

log = logging.getLogger("dbpool")

# How often everything is looked at; what is due earlier is looked at when it is due.
LOOK_EVERY_S = 5.0
LEAST_S = 0.02  # between two looks
ASKED_AT_ONCE = 3  # idle connections; each takes a permit for a round trip


class Upkeep:
    """Looks at all connections now and then.

    Whatever it does with a connection it does under a permit, so the bound stays true; where none is free it comes
    again. A connection in use is closed when its lease ends.
    """

    def __init__(self, leases: Leases, settings: PoolSettings) -> None:
        self._leases = leases
        self._settings = settings
        self._timer: asyncio.TimerHandle | None = None
        leases.gate.watch.known.append(leases.suspects)
        self._asking = 0  # idle connections

    def start(self) -> None:
        self.look()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def look(self) -> None:
        """Do now what is due, and come again."""
        self.stop()
        now = self._leases.loop.time()
        self._retire_surplus()
        self._retire_old(now)
        self._retire_idle(now)
        self._open_missing()
        self._ask_quiet(now)
        self._look_for_leaks(now)
        self.stop()  # a listener may have had it look meanwhile
        self._timer = self._leases.loop.call_at(self._next_look(now), self.look)

    def drain(self, spread_over: float) -> int:
        """Have every connection open now replaced, evenly within *spread_over* seconds; return how many."""
        self._leases.driver.renew_credentials()
        connections = self._leases.driver.connections
        now = self._leases.loop.time()
        for number, connection in enumerate(connections):
            closed_at = now + spread_over * number / len(connections)
            if closed_at < connection.expires_at:
                connection.expires_at, connection.expires_for = closed_at, Reason.DRAINED
        self._leases.events.tell(Draining(len(connections), spread_over))
        self.look()
        return len(connections)

    async def wait_unused(self) -> None:
        """Return once nobody holds a permit and no connect is under way, as one may be whose caller has left."""
        while self._leases.gate.held or self._leases.connector.opening:
            await self._leases.gate.wait_empty()
            await self._leases.connector.wait_opened()

    def disconnect(self) -> None:
        """Begin to close every connection; nobody may hold a permit or be granted one, and no connect be under way."""
        for connection in [*self._leases.resting]:
            self._retire(connection, Reason.PAUSED, beyond=True)

    async def wait_disconnected(self, timeout: float) -> None:
        """Return once all are closed; cut off what is not after *timeout* seconds."""
        leases = self._leases
        try:
            async with asyncio.timeout(timeout):
                await leases.gate.wait_empty()
        except TimeoutError:
            if leases.gate.is_paused:  # else what goes on now may be a caller's
                leases.cleanups.cancel_all()
                await leases.cleanups.wait_all()

    def _retire_surplus(self) -> None:
        """After the pool was made smaller."""
        resting = self._leases.resting
        used = (each for each in self._leases.driver.connections if not each.is_broken and each not in resting)
        first = [*self._leases.spare, *used]  # the idle ones can be closed now
        for connection in first[: max(0, self._leases.surplus)]:
            self._retire(connection, Reason.SURPLUS, beyond=True)

    def _retire_old(self, now: float) -> None:
        for connection in self._leases.driver.connections:
            if now >= connection.expires_at:
                self._retire(connection, connection.expires_for)

    def _retire_idle(self, now: float) -> None:
        spare = self._leases.driver.size - self._settings.min_connections
        for connection in list(self._leases.resting):  # those that rested longest come first
            if connection.is_closed():
                self._retire(connection, Reason.LOST)
            elif spare > 0 and now >= connection.idle_since + self._settings.max_idle:
                spare -= 1
                self._retire(connection, Reason.IDLE)

    def _retire(self, connection: PooledConnection, reason: Reason, *, beyond: bool = False) -> None:
        """Close it now if it is idle, with *beyond* though no permit is free, else when its lease ends."""
        if connection in self._leases.resting:
            self._leases.retire_resting(connection, reason, beyond=beyond)
        else:
            connection.retire(reason)

    def _open_missing(self) -> None:
        """Open connections to keep, under nobody's permit: a caller that comes meanwhile has its own, and gets them."""
        leases = self._leases
        if leases.gate.is_paused:  # perhaps for a server that is to have no connections
            return
        opening = leases.connector.opening
        room = leases.gate.capacity - leases.gate.held - leases.idle - opening
        leases.connector.open_ahead(min(room, self._settings.min_connections - leases.driver.size - opening))

    def _ask_quiet(self, now: float) -> None:
        """Keep what stands between here and the server from forgetting idle connections; notice if it has."""
        keepalive = self._settings.keepalive
        quiet = [connection for connection in self._leases.resting if now >= connection.seen_alive_at + keepalive]
        quiet.sort(key=lambda connection: connection.seen_alive_at)
        for connection in quiet[: ASKED_AT_ONCE - self._asking]:
            if (holder := self._leases.seize()) is None:
                break
            self._asking += 1
            self._leases.resting.remove(connection)
            holder.connection, holder.afterwards = connection, "its connection is being kept alive"
            asking = self._leases.cleanups.start(self._ask(connection))
            asking.add_done_callback(partial(self._asked, holder, connection, connection.idle_since))

    async def _ask(self, connection: PooledConnection) -> None:
        if not await connection.ping(self._settings.reset_timeout):
            connection.retire(Reason.UNANSWERED)

    def _asked(
        self, holder: Leaseholder, connection: PooledConnection, idle_since: float, _: asyncio.Task[None]
    ) -> None:
        resting = self._leases.resting
        self._asking -= 1
        self._leases.settle(holder)
        if connection in resting:  # it has rested as long as before
            connection.idle_since = idle_since
            resting.sort(key=lambda each: each.idle_since)
        self._ask_quiet(self._leases.loop.time())

    def _look_for_leaks(self, now: float) -> None:
        limit = self._settings.leak_after
        name, suspects = self._leases.gate.name, self._leases.suspects
        for waiter, suspect in list(suspects.items()):
            if waiter not in self._leases.gate.holding:
                del suspects[waiter]
                held_s = waiter.left_at - waiter.since
                returned = replace(suspect, seconds=held_s, sql=None, in_transaction=False, doing="", stack=())
                event = LeakReturned(returned)
                log.warning("%s: returned after all: held %s", name, returned, extra=self._fields(event))
                self._leases.events.tell(event)
        if limit is None:
            return
        for waiter in self._unsuspected():
            if now >= waiter.since + limit:
                suspect = suspects[waiter] = caller(waiter, now)
                stack = "".join(f"\n    {frame}" for frame in suspect.stack)
                told = LeakSuspected(suspect)
                text = "%s: held for longer than leak_after=%g s: %s%s"
                log.warning(text, name, limit, suspect, stack, extra=self._fields(told))
                self._leases.events.tell(told)

    def _fields(self, event: LeakReturned | LeakSuspected) -> dict[str, object]:
        from dbpool.eventfields import fields_of

        return fields_of(event, self._settings.name)

    def _unsuspected(self) -> list[Waiter]:
        """Callers that hold a connection; not the pool itself, nor a permit whose caller has left it to a cleanup."""
        return [
            waiter
            for waiter in self._leases.gate.holding
            if waiter.site is not None and waiter.asker is not None and waiter not in self._leases.suspects
        ]

    def _next_look(self, now: float) -> float:
        settings, leases = self._settings, self._leases
        due = [connection.expires_at for connection in leases.driver.connections if not connection.is_broken]
        due += [connection.seen_alive_at + settings.keepalive for connection in leases.resting]
        if leases.driver.size > settings.min_connections:
            due += [connection.idle_since + settings.max_idle for connection in leases.resting]
        due += [now + settings.keepalive, now + settings.max_idle]  # of those that come to rest from now on
        if settings.leak_after is not None:
            due += [waiter.since + settings.leak_after for waiter in self._unsuspected()]
            due += [now + settings.leak_after]  # of those who get a permit from now on
        ahead = min(at for at in [*due, now + LOOK_EVERY_S] if at > now)  # what is due by now waits for a permit
        return max(ahead, now + LEAST_S)
