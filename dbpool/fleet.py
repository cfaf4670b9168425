"""Membership in a fleet: processes whose pools together keep to one budget of connections.

They need nothing but the server. Each has one connection beside its pool's, by which it says what it wants (its
``application_name``, which everyone may read) and holds its slots: advisory locks, which the server gives to one
session only and takes back when that ends. So a process that is killed leaves nothing to be cleaned up, and together
they never have more slots than there are.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from dbpool.connection import PlainConnection, PostgresError
from dbpool.core.fleet import Demand, Sight
from dbpool.core.fleetnames import Fleet
from dbpool.core.retry import Backoff
from dbpool.errors import FleetFull, ServerUnavailable
from dbpool.faults import one_line

if TYPE_CHECKING:
    from dbpool.leases import Leases
    from dbpool.settings import PoolSettings

log = logging.getLogger("dbpool")

LOOK_EVERY_S: Final = 0.5  # one query; shares are right after three looks at the latest
DEMAND_LOOKS: Final = 20  # ten seconds: a pool that is busy now and then keeps what it needs
LOCK_NOT_AVAILABLE: Final = "55P03"
LOCK_WAIT: Final = "2s"  # for another member that takes slots, which it does in a few milliseconds
_BACKOFF = Backoff(first_s=0.1, cap_s=2.0)

_LOOK = """
SELECT a.application_name, coalesce(l.slots, '{}')
FROM pg_stat_activity a LEFT JOIN (
    SELECT pid, array_agg(objid::int8) AS slots FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2 AND classid = $1::int8::oid AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    GROUP BY pid
) l USING (pid)
WHERE a.datname = current_database() AND a.application_name LIKE '%#' || $2 || '-%'
"""
_NAME = "SELECT set_config('application_name', $1, false)"
_TAKE = "SELECT pg_try_advisory_lock($1, $2)"
_GUARD = "SELECT pg_advisory_xact_lock($1, $2)"
_GIVE_UP = "SELECT pg_advisory_unlock($1, $2)"
_BACKEND = "SELECT pg_backend_pid()"


class Membership:
    """Keeps one pool's capacity at its share.

    Args:
        resize: sets the pool's capacity.
    """

    def __init__(self, fleet: Fleet, leases: Leases, settings: PoolSettings, resize: Callable[[int], None]) -> None:
        self._fleet = fleet
        self._leases = leases
        self._settings = settings
        self._resize = resize
        self._demand = Demand(settings.max_connections, DEMAND_LOOKS)
        self._held: set[int] = set()  # slots
        self._connection: PlainConnection[Any] | None = None
        self._announced = (0, 0)
        self._free: frozenset[int] = frozenset()  # slots that nobody held at the last look
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()

    @property
    def slots(self) -> int:
        """Slots held now."""
        return len(self._held)

    def want_at_most(self, connections: int) -> None:
        """What ``resize`` of the pool means here."""
        self._demand.most = connections

    async def join(self, deadline: float) -> None:
        """Announce this member, and wait for enough slots to begin with.

        Raises:
            FleetFull: every place is taken, or no slot was free by *deadline*, in seconds of the loop's clock.
            ServerUnavailable: the server cannot be reached, or goes meanwhile; the cause is the driver's error.
        """
        try:
            await self._connect()
            await self._wait_for_enough(deadline)
        except BaseException as error:
            await self._disconnect()
            if isinstance(error, FleetFull) or not isinstance(error, Exception):
                raise
            raise ServerUnavailable(f"{self._leases.gate.name} cannot join its fleet: {one_line(error)}") from error
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def _wait_for_enough(self, deadline: float) -> None:
        clock = asyncio.get_running_loop().time
        while self.slots < self._least:
            await self._look()
            if self.slots < self._least and clock() + LOOK_EVERY_S > deadline:
                raise FleetFull(
                    f"{self._leases.gate.name} got {self.slots} of the {self._least} connections that it needs: "
                    f"all {self._fleet.slots} of its fleet are in use. Raise fleet_budget, or end a member."
                )
            if self.slots < self._least:
                await asyncio.sleep(LOOK_EVERY_S * random.uniform(0.5, 1.0))

    async def leave(self) -> None:
        """Give every slot up, after the pool's own connections are closed."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._disconnect()

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._freeze()
                    await self._connect()
                    log.warning("%s: is in its fleet again", self._leases.gate.name)
                await self._look()
                failures = 0
            except Exception as error:  # the server is away, or slow: nothing is taken meanwhile
                if failures == 0:
                    log.warning("%s: cannot see its fleet: %s", self._leases.gate.name, one_line(error))
                failures += 1
                await self._disconnect()
            pause = _BACKOFF.delay_s(failures, random.random()) if failures else LOOK_EVERY_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause * random.uniform(0.8, 1.2)):
                    await self._lost.wait()
            self._lost.clear()

    def _freeze(self) -> None:
        """Open no more connections than there are: the slots went with the connection that held them."""
        self._held.clear()
        self._resize(max(self._least, min(self._in_use, self._leases.gate.capacity)))

    async def _connect(self) -> None:
        """Open the connection that holds the slots, and take a place among the members."""
        fleet = self._fleet
        connection = self._connection = await self._leases.driver.connect_apart()
        connection.add_termination_listener(lambda _: self._lost.set())
        if await connection.fetchval(_BACKEND) != connection.get_server_pid():
            raise FleetFull(
                f"{self._leases.gate.name} cannot share a fleet_budget through a pooler: its locks need a session of "
                f"their own. Let the pooler bound the connections."
            )
        self._held.clear()
        self._announced, self._free = (0, 0), frozenset()
        await self._announce()
        for place in fleet.places:
            if await connection.fetchval(_TAKE, fleet.key, place):
                return
        raise FleetFull(
            f"{self._leases.gate.name} is one process too many: all {len(fleet.places)} places of its fleet are taken. "
            f"Raise fleet_members, for all of them."
        )

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it is cut off then, and the server ends the session
                await connection.close(timeout=self._settings.reset_timeout)
        self._held.clear()

    async def _announce(self) -> None:
        most = max(self._least, self._demand.most)
        wants = max(self._least, self._demand.look(self._leases.gate.held + self._leases.gate.waiting))
        if (wants, most) != self._announced:
            assert self._connection is not None
            await self._connection.fetchval(_NAME, self._fleet.announcement(wants, most))
            self._announced = wants, most

    async def _look(self) -> None:
        """See what all members have, give up what is above the share, or take what is free up to it."""
        await self._announce()
        sight = await self._sight()
        share = max(self._least, sight.share(self._fleet.tag))
        if share > self.slots:
            await self._take(share)
        self._resize(max(self._least, min(share, self.slots)))
        await self._give_up(self.slots - max(share, self._in_use))
        self._free = sight.unheld()

    async def _sight(self) -> Sight:
        assert self._connection is not None
        rows = await self._connection.fetch(_LOOK, self._fleet.key % 2**32, self._fleet.mark)
        return self._fleet.seen_in((name, slots) for name, slots in rows)

    async def _give_up(self, slots: int) -> None:
        assert self._connection is not None
        for slot in sorted(self._held, reverse=True)[: max(0, slots)]:
            await self._connection.fetchval(_GIVE_UP, self._fleet.key, slot)
            self._held.discard(slot)

    async def _take(self, share: int) -> None:
        """Take free slots up to *share*, while nobody else takes any: two could count on the same room.

        Only those that were free at the last look, too: whoever lost one a moment ago may not know it yet.
        """
        assert self._connection is not None
        async with self._connection.transaction():
            await self._connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
            try:
                await self._connection.execute(_GUARD, self._fleet.key, self._fleet.guard)
            except PostgresError as error:
                if error.sqlstate != LOCK_NOT_AVAILABLE:
                    raise
                return  # its turn comes with the next look
            free = [slot for slot in (await self._sight()).free(self._fleet.tag) if slot in self._free]
            for slot in free[: share - self.slots]:
                if await self._connection.fetchval(_TAKE, self._fleet.key, slot):
                    self._held.add(slot)

    @property
    def _least(self) -> int:
        """Connections that it cannot do without: one beside what its lanes reserve, of which there may be more now."""
        return 1 + sum(line.reserved for line in self._leases.gate.lines)

    @property
    def _in_use(self) -> int:
        """Connections that the server may count for this pool, those included that holders of permits will open."""
        leases = self._leases
        return max(leases.driver.size + leases.connector.opening, leases.gate.held) + leases.zombies
