"""Reads on standbys that are near enough to their primary."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol, Self

from dbpool.connection import Answer, PostgresError, Want
from dbpool.core.replaying import Lsn, Progress, Seen, may_read
from dbpool.core.retry import Verdict, verdict
from dbpool.dsn import Dsn
from dbpool.errors import (
    AcquireTimeout,
    ConnectionLost,
    PoolClosed,
    ServerUnavailable,
    SettingsError,
    StatementError,
    UsageError,
)
from dbpool.faults import sqlstate
from dbpool.finish import Cleanups
from dbpool.hosts import Target, address_of
from dbpool.leases import Leases
from dbpool.queries import Queries, check, checked_timeout
from dbpool.settings import PoolSettings, seconds_from_zero, whole_number
from dbpool.sites import Site
from dbpool.standbys import IS_PRIMARY, PLACE, REPLAYED, Watcher

FIRST_LOOK_S = 1.0  # for all servers to answer when the reads are opened; who has not by then comes later
POLL_S = 0.01  # of a standby that is about to have replayed what a read waits for
_READS = frozenset({"SELECT", "TABLE", "VALUES", "WITH", "SHOW", "EXPLAIN"})


class Asked(Protocol):
    """What answers statements: a pool, or a lane of one."""

    def _ask(self, *args: Any) -> Awaitable[Answer]: ...  # noqa: ANN401 - as in Queries
    def transaction(self, *, readonly: bool, timeout: float | None) -> Any: ...  # noqa: ANN401 - see Lane


class Pool(Asked, Protocol):
    """A pool of connections to one server."""

    _leases: Leases

    async def open(self) -> Any: ...  # noqa: ANN401 - itself
    async def close(self, timeout: float | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Replica:
    """A server of the address, as reads see it at one moment."""

    address: str
    state: str
    """``standby``, ``primary``, or ``silent``."""
    replayed: Lsn | None
    lag_s: float | None
    """The most by which it is behind what was last seen of the primary; None: too far to say, or it is no standby."""
    reads_total: int
    held: int
    """Connections that reads have in use there."""


class Standby:
    """One server of the address, with a pool of its own."""

    def __init__(self, number: int, address: str, pool: Pool) -> None:
        self.number, self.address, self.pool = number, address, pool
        self.replayed: Lsn | None = None
        self.state = "silent"
        self.reads_total = self.busy = self.turn = 0
        self.watcher: Watcher
        self._opening: asyncio.Task[Any] | None = None

    async def open(self, tasks: Cleanups, left_s: float | None) -> None:
        """Return once its pool is open; the first read opens it, for all, and it goes on where that waits no more.

        Args:
            left_s: the most to wait for it; None: as long as it takes, which is ``connect_timeout``.
        Raises:
            AcquireTimeout: it was not open in time.
            PoolClosed: the reads were closed meanwhile.
        """
        opening = self._opening
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            opening = self._opening = tasks.start(self.pool.open())
            opening.add_done_callback(_look_at)
        if not opening.done():
            await asyncio.wait([opening], timeout=left_s)
        if not opening.done():
            assert left_s is not None, opening
            raise self._late(left_s)
        if opening.cancelled():
            raise PoolClosed(f"these reads were closed while this one waited for {self.address}")
        opening.result()

    def _late(self, waited_s: float) -> AcquireTimeout:
        gate, now = self.pool._leases.gate, asyncio.get_running_loop().time()
        return gate.refusals.acquire_timeout(gate.line, waited_s, now, self.pool._leases.connector.advice(now))

    def heard(self, text: str | None) -> None:
        """Note how far it has replayed, that it is the primary, or that it has not answered."""
        is_standby = text is not None and text != IS_PRIMARY
        self.replayed = Lsn.parse(text) if is_standby and text is not None else None
        self.state = "standby" if is_standby else text or "silent"


def _look_at(opening: asyncio.Task[Any]) -> None:
    """Or the loop would complain of an error that nobody waits for any more."""
    if not opening.cancelled():
        opening.exception()


class Replicas(Queries):
    """Reads that a standby answers, if one is near enough, else the primary: see ``DatabasePool.replicas``.

    It has the methods of a pool for one statement: ``fetch``, ``fetchrow``, ``fetchval`` and their like. A read that
    its standby could not finish, because it went away or what it replays was in the way, is run again elsewhere.
    """

    def __init__(
        self,
        primary: Asked,
        leases: Leases,
        settings: PoolSettings,
        make: Callable[[PoolSettings], Pool],
        *,
        max_lag_s: float,
        max_connections: int,
        wait_s: float,
    ) -> None:
        if len(settings.dsn.named.hosts) < 2:
            raise SettingsError("reads on standbys need an address with several servers, as postgresql://a,b/shop")
        target = settings.target_session_attrs
        if not isinstance(target, Target) or not target.is_of_a_primary:
            raise SettingsError("beside reads on standbys the pool needs target_session_attrs='read-write'")
        whole_number(max_connections, "max_connections", 1)
        seconds_from_zero(max_lag_s, "max_lag_s")
        seconds_from_zero(wait_s, "wait_s")
        self._primary, self._leases, self._settings = primary, leases, settings
        self._max_lag_s, self._wait_s = max_lag_s, wait_s
        self._progress = Progress()
        self._watching = Cleanups()
        self._heard_first: set[object] = set()
        self._all_heard = asyncio.Event()
        self._is_open = False
        self._turn = 0
        self.primary_reads_total = 0
        """Reads that the primary answered, as no standby was fit."""
        shared = replace(
            settings,
            target_session_attrs=Target.ANY,
            fleet_budget=None,
            min_connections=0,
            max_connections=max_connections,
            outage_patience=0.01,  # there are others, and the primary
        )
        self._servers = []
        for number, host in enumerate(settings.dsn.named.hosts):
            dsn = Dsn(address_of(settings.dsn.reveal(), host))
            server = Standby(number, str(host), make(replace(shared, dsn=dsn, name=f"{settings.name} at {host}")))
            server.watcher = Watcher(server.pool._leases.driver.connect_apart, REPLAYED, self._hears(server))
            self._servers.append(server)

    async def open(self) -> Self:
        """Look at all servers once, a second at the most; then go on looking until ``close``."""
        if self._is_open:
            return self
        self._is_open = True
        self._watching.start(Watcher(self._leases.driver.connect_apart, PLACE, self._heard_primary).watch())
        for server in self._servers:
            self._watching.start(server.watcher.watch())
        try:
            async with asyncio.timeout(FIRST_LOOK_S):
                await self._all_heard.wait()
        except TimeoutError:
            pass
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """End it, and close its connections to standbys; those of the pool stay."""
        self._is_open = False
        self._watching.cancel_all()
        await self._watching.wait_all()
        await asyncio.gather(*(server.pool.close() for server in self._servers))

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    def after(self, place: Lsn) -> Reads:
        """The same reads, each of which sees what was written before ``place = await db.lsn()``.

        A standby that is about to have replayed it is waited for, ``wait_s`` at the most; then the primary answers.
        """
        if not isinstance(place, int):
            raise UsageError(f"after() takes what 'await db.lsn()' gave, or Lsn.parse() of its text, not {place!r}")
        return Reads(self, place)

    def stats(self) -> list[Replica]:
        """The servers of the address, in its order, at this moment."""
        return [
            Replica(
                address=server.address,
                state=server.state,
                replayed=server.replayed,
                lag_s=None if server.replayed is None else self._progress.lag_s(server.replayed),
                reads_total=server.reads_total,
                held=server.pool._leases.gate.held,
            )
            for server in self._servers
        ]

    # What is heard of the servers

    def _heard_primary(self, text: str | None, asked_at: float) -> None:
        if text is not None:
            self._progress.saw(Lsn.of_insert(text), asked_at)
        self._note_first(self)

    def _hears(self, server: Standby) -> Callable[[str | None, float], None]:
        def heard(text: str | None, _: float) -> None:
            server.heard(text)
            self._note_first(server)

        return heard

    def _note_first(self, of: object) -> None:
        if not self._all_heard.is_set():
            self._heard_first.add(of)
            if len(self._heard_first) > len(self._servers):
                self._all_heard.set()

    # A read

    def _ask(
        self,
        sql: str,
        args: Sequence[object],
        want: Want,
        timeout: float | None,
        site: Site | None,
        coalesce: bool | None = None,  # noqa: FBT001 - as in Queries
    ) -> Awaitable[Answer]:
        return self.ask(sql, args, want, timeout, site, coalesce, None)

    def ask(
        self,
        sql: str,
        args: Sequence[object],
        want: Want,
        timeout: float | None,
        site: Site | None,
        coalesce: bool | None,  # noqa: FBT001 - as in Queries
        after: Lsn | None,
    ) -> Awaitable[Answer]:
        """The same, on a server that has replayed *after*."""
        if not self._is_open:
            raise PoolClosed("these reads are not open: use 'async with db.replicas() as reads'")
        statement = check(sql, args, want, self._settings.trusted_functions)
        if statement.first_word not in _READS:
            raise StatementError(f"{statement.first_word} on a standby: what writes goes through the pool itself")
        checked_timeout(timeout)
        return self._read(sql, args, want, timeout, site, coalesce, after, is_proven=statement.reads_only)

    async def _read(
        self,
        sql: str,
        args: Sequence[object],
        want: Want,
        timeout: float | None,
        site: Site | None,
        coalesce: bool | None,  # noqa: FBT001 - as above
        after: Lsn | None,
        *,
        is_proven: bool,
    ) -> Answer:
        clock = asyncio.get_running_loop().time
        ends_at = None if timeout is None else clock() + timeout

        def left() -> float | None:
            return None if ends_at is None else max(0.001, ends_at - clock())

        async def ask(on: Asked) -> Answer:
            if is_proven:
                return await on._ask(sql, args, want, left(), site, coalesce)
            # as a standby would have it, also one that is promoted in this moment
            async with on.transaction(readonly=True, timeout=left()) as tx:
                answer: Answer = await tx._ask(sql, args, want, left(), site)
            return answer

        tried: set[int] = set()
        while (server := await self._choose(after, tried, left())) is not None:
            tried.add(server.number)
            self._turn += 1
            server.turn = self._turn
            server.busy += 1
            try:
                await server.open(self._watching, left())
                server.reads_total += 1
                return await ask(server.pool)
            except (ConnectionLost, ServerUnavailable):
                server.heard(None)
            except PostgresError as error:
                state = sqlstate(error)
                if state is None or verdict(state) is not Verdict.RETRY_TRANSACTION:  # what it replays was in the way
                    raise
            finally:
                server.busy -= 1
        self.primary_reads_total += 1
        return await ask(self._primary)

    async def _choose(self, after: Lsn | None, tried: set[int], left_s: float | None) -> Standby | None:
        """The standby for a read; None: the primary must answer it."""
        clock = asyncio.get_running_loop().time
        ends_at = clock() + min(self._wait_s, self._wait_s if left_s is None else left_s)
        while True:
            seen = [
                Seen(each.number, each.replayed, each.busy, each.turn)
                for each in self._servers
                if each.number not in tried
            ]
            ready, later = may_read(seen, self._progress, max_lag_s=self._max_lag_s, after=after)
            if ready:
                return self._servers[ready[0]]
            if not later or clock() >= ends_at:
                return None
            self._servers[later[0]].watcher.hurry()
            await asyncio.sleep(POLL_S)


class Reads(Queries):
    """Reads that see what was written before some place in the log: see ``Replicas.after``."""

    __slots__ = ("_after", "_replicas")

    def __init__(self, replicas: Replicas, after: Lsn) -> None:
        self._replicas, self._after = replicas, after

    def _ask(
        self,
        sql: str,
        args: Sequence[object],
        want: Want,
        timeout: float | None,
        site: Site | None,
        coalesce: bool | None = None,  # noqa: FBT001 - as in Queries
    ) -> Awaitable[Answer]:
        return self._replicas.ask(sql, args, want, timeout, site, coalesce, self._after)
