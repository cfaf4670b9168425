"""A pool that behaves as asyncpg's."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Generator, Sequence
from copy import copy
from itertools import pairwise
from threading import get_ident
from typing import TYPE_CHECKING, Any, Self

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from dbpool.compat.inside import READ
from dbpool.compat.lane import AsyncpgLane
from dbpool.compat.leases import HookedLeases
from dbpool.connection import Answer, Record, Want
from dbpool.core.permits import Line
from dbpool.core.sqltext import SqlTextError, tokens
from dbpool.core.statements import Statement, classify, refuse_copy
from dbpool.dsn import Dsn
from dbpool.errors import ConnectionLost, DbPoolError, PoolClosed, PoolDeadlock, SettingsError
from dbpool.observing import Asked, Operation
from dbpool.phase import Phase
from dbpool.pool import DatabasePool
from dbpool.settings import LONGEST_S, PoolSettings

_STATES = {
    Phase.NEW: "pool is not initialized",
    Phase.OPENING: "pool is being initialized, but not yet ready: "
    "likely there is a race between creating a pool and using it",
    Phase.OPEN: "pool is closing",
    Phase.CLOSED: "pool is closed",
}


if TYPE_CHECKING:
    from dbpool.bulk.writing.sorting import SortBy
    from dbpool.core.permits import Line

    Pool = asyncpg.Pool[asyncpg.Record]
else:
    from asyncpg import Pool


class AsyncpgPool(DatabasePool, Pool):  # to isinstance() it is an asyncpg.Pool, whose __init__ is not run
    """What ``dbpool.create_pool`` returns: a DatabasePool with the interface and the behaviour of ``asyncpg.Pool``.

    The same arguments, methods, hooks at the same moments, sizes, warnings and errors: of asyncpg's own classes, but in
    what only a DatabasePool has, such as ``transaction``. Connections are of the class asked for and have nothing
    added. ``fetch*`` and ``execute`` of the pool take its fast way, unless they must be seen by a hook, a class of
    connections or an instrumentation that wraps these methods of ``asyncpg.Connection``. One that wraps those of
    ``asyncpg.Pool`` sees ``acquire``, but neither these nor ``release``: it is to wrap ``type(pool)`` for that.

    Different on purpose:

    - Callers wait in one line, first come, first served. Those in line when ``close`` begins are refused at once.
    - A connection that expired, was idle for too long or could not be reset has ended at the server before another
      takes its place, as far as ``quarantine_timeout`` allows.
    - A one-shot that is proven to leave the session as it was, on a connection without hooks, owes no reset: the next
      caller gets the connection as it is. One that was answered returns its answer even if the reset after it fails.
    - A caller that is cancelled or out of time is told at once, while its connection is cleaned up in the background.
    - A hook that raises a BaseException costs its connection, never the place of it in the pool.
    - Where everyone who could free a connection waits for one, the newest of them is told by PoolDeadlock, or by a
      TimeoutError if they have a time limit, at once; asyncpg waits for ever, or until the limit. That the server will
      end an idle session is known only if that is among the server_settings, not if it is a role's or a database's.
    - ``terminate`` cancels a ``reset`` hook that is under way.
    - ``execute("copy ... from stdin")``, for which asyncpg waits for ever, deaf to cancellation, raises StatementError.
    """

    def __init__(self, recipe: Any) -> None:
        self._recipe = recipe
        self._begin(_settings(recipe))
        self._ways = HookedLeases(self._settings, recipe, self, self._leases.gate, self._events)
        self._run_on(self._ways)
        self._minsize, self._maxsize = recipe._minsize, recipe._maxsize
        self._has_hooks = not (recipe._setup is None and recipe._reset is None)

    # Opening and closing

    async def open(self) -> Self:
        """Open ``init_size`` connections; return the pool, also where that was done before."""
        if self._phase is Phase.OPENING:
            raise asyncpg.InterfaceError("pool is being initialized in another task")
        if self._phase is Phase.FORKED:
            raise self._refusal()
        if self._phase is Phase.NEW:
            self._phase = Phase.OPENING
            try:
                await self._ways.open_first(self._recipe.get_init_size())
            except (Exception, asyncio.CancelledError):
                self._phase = Phase.CLOSED
                self._ways.terminate()
                raise
            finally:  # as asyncpg: what a hook raises besides closes nothing
                if self._phase is Phase.OPENING:
                    self._begin_serving()
        return self

    init_pool = open

    def __await__(self) -> Generator[Any, None, Self]:
        return self.open().__await__()

    def _begin_serving(self) -> None:
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        self._phase = Phase.OPEN
        self._equip()  # the upkeep for resize() and drain(); else it has nothing to do
        self._ways.keep_floor()

    async def close(self, timeout: float | None = None) -> None:
        """Wait until every connection is released, then close all; a failure or cancellation terminates the pool.

        Args:
            timeout: seconds to wait at the most; None, as in asyncpg: no limit.
        """
        if self._phase is Phase.CLOSED:
            return
        self._check_init()
        self._loop = None  # from now on newcomers are refused
        self._stop_upkeep()
        warning = asyncio.get_running_loop().call_later(60, self._warn_on_long_close)  # type: ignore[attr-defined]
        try:
            async with asyncio.timeout(timeout):
                await self._ways.close_all()
                if self._listeners is not None:
                    await self._listeners.close(self._settings.reset_timeout)
        except BaseException:
            self.terminate()
            raise
        finally:
            warning.cancel()
            self._phase = Phase.CLOSED

    def terminate(self) -> None:
        """Cut every connection off, now."""
        if self._phase is Phase.CLOSED:
            return
        self._check_init()
        self._loop, self._phase = None, Phase.CLOSED
        self._stop_upkeep()
        self._ways.terminate()
        if self._listeners is not None:
            self._ways.start_last(self._listeners.close(self._settings.reset_timeout))

    def _stop_upkeep(self) -> None:
        if self._upkeep is not None:
            self._upkeep.stop()

    @property
    def is_serving(self) -> bool:
        """Whether it is open and not being closed."""
        return self._loop is not None

    def is_closing(self) -> bool:
        return self._phase is Phase.CLOSED or (self._phase is Phase.OPEN and not self.is_serving)

    # Connections

    def acquire(self, *, timeout: float | None = None) -> Any:  # else a lane's
        """As asyncpg's: awaited or entered it calls ``_acquire``."""
        return Pool.acquire(self, timeout=timeout)

    def lane(self, name: str, **share: Any) -> AsyncpgLane:
        """As DatabasePool's, but its ``acquire`` and ``release`` are those of this pool."""
        lane = super().lane(name, **share)
        return AsyncpgLane(self, lane._line, coalesce=lane._coalesces)

    async def _acquire(self, timeout: float | None) -> Any:
        """What ``acquire`` awaits."""
        return await self.acquire_in(self._line, timeout)

    async def acquire_in(self, line: Line, timeout: float | None) -> Any:
        """The handle of a connection, waited for in *line*."""
        self._check_usable()
        if timeout is not None and timeout <= 0:
            raise TimeoutError
        site = self._ways.gate.sites.of(3)
        lease = self._ways.lease(LONGEST_S if timeout is None else min(timeout, LONGEST_S), line, site)
        try:
            connection: Any = await lease.__aenter__()
        except DbPoolError as error:
            told = self._as_asyncpg_says_it(error, has_limit=timeout is not None)
        else:
            connection._timeout = timeout
            return connection.lend()
        try:
            raise told
        finally:
            del told  # or it and this frame would keep each other alive

    async def release(self, connection: Any, *, timeout: float | None = None) -> None:
        """End the lease of *connection*; does nothing if that was done before.

        Args:
            timeout: seconds for the reset; None: as long as ``acquire`` was given.
        Raises: what went wrong in the reset; the connection is closed then.
        """
        if type(connection) is not PoolConnectionProxy or connection._holder._pool is not self:
            raise asyncpg.InterfaceError(
                f"Pool.release() received invalid connection: {connection!r} is not a member of this pool"
            )
        handle: Any = connection
        if handle._con is None:
            return
        self._check_init()
        handle._con._on_release()  # which warns about listeners
        holder = handle._holder
        await holder.release(holder._timeout if timeout is None else timeout)

    async def expire_connections(self) -> None:
        """Replace every connection that is open now before its next use."""
        self._ways.driver.expire()

    def set_connect_args(self, dsn: str | None = None, **connect_kwargs: Any) -> None:
        """How connections are to be opened from now on."""
        self._recipe.set_connect_args(dsn, **connect_kwargs)

    def get_size(self) -> int:
        return self._ways.driver.size

    def get_idle_size(self) -> int:
        return self._ways.idle_size

    def get_init_size(self) -> int:
        return self._recipe.get_init_size()  # type: ignore[no-any-return]

    def get_min_size(self) -> int:
        return self._recipe.get_min_size()  # type: ignore[no-any-return]

    def get_max_size(self) -> int:
        return self._ways.gate.capacity

    # Statements: by the fast way of a one-shot where nothing has to see them, else as asyncpg runs them

    async def execute(  # type: ignore[override]
        self, query: str, *args: Any, timeout: float | None = None
    ) -> str:
        statement = self._shortcut(query, timeout)
        if statement is None:
            return await Pool.execute(self, query, *args, timeout=timeout)
        status = await self._one_shot(statement, query, args, Want.STATUS, timeout)
        return status if isinstance(status, str) else status[1].decode()

    async def fetch(  # type: ignore[override]
        self, query: str, *args: Any, timeout: float | None = None, record_class: type[Record] | None = None
    ) -> list[Any]:
        statement = self._shortcut(query, timeout)
        if statement is None or record_class is not None:
            return await Pool.fetch(self, query, *args, timeout=timeout, record_class=record_class)
        rows: list[Any] = await self._one_shot(statement, query, args, Want.ROWS, timeout)
        return rows

    async def fetchrow(  # type: ignore[override]
        self, query: str, *args: Any, timeout: float | None = None, record_class: type[Record] | None = None
    ) -> Any:
        statement = self._shortcut(query, timeout)
        if statement is None or record_class is not None:
            return await Pool.fetchrow(self, query, *args, timeout=timeout, record_class=record_class)
        rows = await self._one_shot(statement, query, args, Want.ROW, timeout)
        return rows[0] if rows else None

    async def fetchval(  # type: ignore[override]
        self, query: str, *args: Any, column: int = 0, timeout: float | None = None
    ) -> Any:
        statement = self._shortcut(query, timeout)
        if statement is None:
            return await Pool.fetchval(self, query, *args, column=column, timeout=timeout)
        rows = await self._one_shot(statement, query, args, Want.ROW, timeout)
        return rows[0][column] if rows else None

    async def fetchmany(
        self, query: str, args: Any, *, timeout: float | None = None, record_class: type[Record] | None = None
    ) -> list[Any]:
        self._shortcut(query, timeout)  # for what it refuses
        return await Pool.fetchmany(self, query, args, timeout=timeout, record_class=record_class)

    async def executemany(  # type: ignore[override]
        self, command: str, args: Any, *, timeout: float | None = None, sort_by: SortBy | None = None
    ) -> None:
        from dbpool.bulk.writing.sorting import in_order

        self._shortcut(command, timeout)
        if sort_by is not None:
            args = await in_order(args, sort_by)
        await Pool.executemany(self, command, args, timeout=timeout)

    def _shortcut(self, query: str, timeout: float | None) -> Statement | None:
        """What *query* is, if the fast way does what asyncpg would do.

        Raises:
            StatementError: a COPY that would wait for ever.
        """
        self._check_usable()
        try:
            statement = classify(query)
            if statement.is_copy_stdio:
                _refuse_hanging(query, statement)
        except (SqlTextError, TypeError):  # asyncpg or the server will say what is wrong
            return None
        driver = self._ways.driver
        if timeout is not None and not (type(timeout) in (int, float) and 0 < timeout <= driver.longest_s):
            return None
        return statement if driver.is_plain and not self._has_hooks else None

    async def _one_shot(
        self, statement: Statement, query: str, args: Sequence[Any], want: Want, timeout: float | None
    ) -> Answer:
        calls = self._calls
        if timeout is not None:  # it is for the statement alone; for the wait there is none
            calls = copy(calls)
            calls.query_timeout = timeout
        try:
            keeps = statement.keeps_session
            if not self.observing.observers:
                return await calls.run(self._line, query, args, want, keeps_session=keeps, timeout=None)
            site = self.observing.sites.of(2)
            me = Operation(self.observing, Asked.STATEMENT, self._line, site, query, args)
            with me:
                return await calls.run(
                    self._line, query, args, want, keeps_session=keeps, timeout=None, site=site, operation=me
                )
        except DbPoolError as error:
            told = self._as_asyncpg_says_it(error)
        try:
            raise told
        finally:
            del told

    def _as_asyncpg_says_it(self, error: DbPoolError, *, has_limit: bool = False) -> BaseException:
        """To be raised when *error* is handled, for it is not to be seen."""
        if error in self._ways.driver.hooks_own:
            return error
        if isinstance(error, ConnectionLost) and error.__cause__ is not None:
            return error.__cause__
        if isinstance(error, PoolClosed):
            return asyncpg.InterfaceError("pool is closing")
        if isinstance(error, TimeoutError):  # AcquireTimeout, QueryTimeout
            return TimeoutError()
        if isinstance(error, PoolDeadlock) and has_limit:
            told = TimeoutError()  # as it would be, later
            told.__cause__ = error
            return told
        return error

    # What asyncpg's own methods and connections ask of their pool

    def _check_init(self) -> None:
        if self._phase is not Phase.OPEN:
            raise self._refusal()

    def _refusal(self, line: Line | None = None) -> Exception:
        if self._phase is Phase.FORKED or self.is_serving:
            return super()._refusal(line)
        return asyncpg.InterfaceError(_STATES[self._phase])

    @property
    def _holders(self) -> list[Any]:
        """What gino counts."""
        return list(self._ways.driver.open_connections)

    def _drop_statement_cache(self) -> None:
        for connection in self._ways.driver.open_connections:
            connection._drop_local_statement_cache()

    def _drop_type_cache(self) -> None:
        for connection in self._ways.driver.open_connections:
            connection._drop_local_type_cache()


for _name, _read in READ.items():
    setattr(AsyncpgPool, _name, property(_read))


def _settings(recipe: Any) -> PoolSettings:
    dsn = recipe._connect_args[0]
    try:
        address = Dsn(dsn)
    except SettingsError:  # asyncpg takes more than one form, and none
        address = Dsn("postgresql://")
    return PoolSettings(
        dsn=address,
        max_connections=operator.index(recipe.get_max_size()),
        acquire_timeout=LONGEST_S,
        query_timeout=LONGEST_S,
        max_lifetime=LONGEST_S,
        max_idle=LONGEST_S,
        keepalive=LONGEST_S,
    )


def _refuse_hanging(query: str, statement: Statement) -> None:
    """Refuse a COPY that asyncpg would wait on for ever; one to the client is merely of no use."""
    for before, word in pairwise(tokens(query)):
        if before.keyword == "FROM" and word.keyword in ("STDIN", "STDOUT"):
            refuse_copy(statement)
