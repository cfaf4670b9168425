"""An asyncpg connection of whatever class, left as it is, with what the leases must know of it beside it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from dbpool.connection import Answer, PooledConnection, Record, Want
from dbpool.events import Reason
from dbpool.remains import Remains
from dbpool.settings import LONGEST_S

if TYPE_CHECKING:
    from dbpool.compat.leases import HookedLeases
    from dbpool.leaseholder import Leaseholder
    from dbpool.settings import PoolSettings

CUT_OFF = "connection was closed in the middle of operation"  # asyncpg's words

_SESSION_LIMITS = ("idle_session_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
_STATEMENTS = frozenset({"execute", "fetch", "fetchmany", "fetchrow", "fetchval", "prepare"})


class Borrowed:
    """Stands for a connection among the leases, as PooledConnection does; to asyncpg it is that connection's holder.

    A user's class of connections stays what it is: nothing is mixed into it, so no names can clash. What a holder does
    with the connection is not seen here, so a connection that was lent always owes a reset, as in asyncpg's pool.
    """

    __slots__ = (
        "__weakref__",
        "_backend",
        "_cleanup",
        "_con",  # this, _pool and _release_on_close are what asyncpg expects of a holder
        "_hold",
        "_leases",
        "_pool",
        "_protocol",
        "_proxy",
        "_query_loggers",
        "_stmt_cache",
        "_timeout",
        "at_work",
        "callers_error",
        "command_timeout",
        "doomed_by",
        "expires_at",
        "expires_for",
        "held_by",
        "holder",
        "idle_since",
        "is_broken",
        "is_demoted",
        "is_interrupted",
        "is_standard",
        "keeps_session",
        "last_sql",
        "loan",
        "record_class",
        "release_error",
        "remains",
        "retired_for",
        "seen_alive_at",
        "settings",
        "transactions",
    )

    held_by: str
    holder: Leaseholder  # who has it, or had it last
    release_error: (
        BaseException | None
    )  # what a cleanup met with; then the connection is closed, so there is one at most
    _cleanup: asyncio.Task[None] | None  # of the lease that was released last
    _proxy: Any
    last_sql: str | None
    retired_for: Reason | None
    _timeout: float | None  # for the reset; None: no limit

    def __init__(self, con: Any, leases: HookedLeases, settings: PoolSettings) -> None:
        self._con, self._leases, self._pool = con, leases, leases.pool
        con._pool_holder = weakref.ref(self)
        self._protocol, self._stmt_cache, self._query_loggers = con._protocol, con._stmt_cache, con._query_loggers
        self._backend = (con._protocol.backend_pid, con._protocol.backend_secret)
        self.remains: Remains | None = None
        self._hold = Remains.of(con._transport)
        self._proxy = self._cleanup = self._timeout = self.release_error = self.callers_error = None
        self.is_broken = self.is_interrupted = self.is_demoted = False
        self.retired_for = self.last_sql = None
        self.idle_since = self.seen_alive_at = 0.0
        self.doomed_by = ""
        self.at_work = self.loan = 0
        self.expires_at, self.expires_for = LONGEST_S, Reason.TOO_OLD
        self.command_timeout: float = con._config.command_timeout or LONGEST_S
        self.settings = settings
        self.transactions: list[Any] = []
        self.record_class: type[Record] = con._protocol.get_record_class()
        self.is_standard = con.get_settings().standard_conforming_strings == "on"
        self.keeps_session = False

    def __getattr__(self, name: str) -> Any:
        if name in _STATEMENTS:  # what they do to the session is not seen here
            self.keeps_session = False
        return getattr(self._con, name)

    drivers_limit = None
    begin: Any = PooledConnection.begin
    discard: Any = PooledConnection.discard
    doom: Any = PooledConnection.doom
    is_whole: Any = PooledConnection.is_whole
    _has_all: Any = PooledConnection._has_all
    forget_schema: Any = PooledConnection.forget_schema
    forget_statement: Any = PooledConnection.forget_statement
    check_fit: Any = PooledConnection.check_fit
    is_quiet: Any = PooledConnection.is_quiet
    retire: Any = PooledConnection.retire
    stop_statement: Any = PooledConnection.stop_statement

    @property
    def queries(self) -> int:
        """Statements run on it since it was opened, as asyncpg counts."""
        return self._protocol.queries_count  # type: ignore[no-any-return]

    def is_closed(self) -> bool:
        return self._con.is_closed()  # type: ignore[no-any-return]

    def terminate(self) -> None:
        """Cut it off, as asyncpg does; its socket is held on to, by which the end of its backend is seen."""
        if self._con._pool_holder is None:  # it was closed, and asyncpg has cleaned up: its class sees that once
            return
        self._con.terminate()

    def cut_off(self) -> None:
        """The same, and nobody waits for its backend any more."""
        if self._hold is not None:
            self._hold.close()
            self._hold = None
        self._con.terminate()

    def note_change(self, sql: str) -> None:  # noqa: ARG002 - as PooledConnection has it
        self.keeps_session = False

    async def run(self, sql: str, args: Any, want: Want, timeout: float) -> Answer:
        """Run any statement; without a time limit the connection's ``command_timeout`` is the limit."""
        self.check_fit()
        self.last_sql = sql
        seconds = None if timeout >= LONGEST_S else timeout
        if want.status:
            return await self._con.execute(sql, *args, timeout=seconds)
        return await self._con._execute(sql, args, want.limit, seconds)

    async def executemany(self, sql: str, args: Any, *, timeout: float | None = None) -> None:
        self.keeps_session = False
        await self._con.executemany(sql, args, timeout=timeout)

    async def copy_in(self, sql: str, source: Any, timeout: float) -> str:
        """As PooledConnection has it."""
        status: str = await self._con._copy_in(sql, source, timeout)
        return status

    def cursor(self, sql: str, *args: Any, **options: Any) -> Any:
        self.keeps_session = False
        return self._con.cursor(sql, *args, **options)

    def lend(self) -> Any:
        """The handle of this lease, of no use once it has ended."""
        self.keeps_session = False
        if self._proxy is None:
            self._proxy = PoolConnectionProxy(self, self._con)  # type: ignore[arg-type] # it is one to asyncpg
        return self._proxy

    @property
    def is_lent(self) -> bool:
        return self._proxy is not None

    @property
    def is_held(self) -> bool:
        """Whether its lease has not ended: no cleanup is under way."""
        return self.holder.connection is self  # type: ignore[comparison-overlap] # it passes for a PooledConnection

    def handles(self) -> list[object]:
        """What its holder has in hand; and the connection itself, which hooks and its class may have given to anybody.

        To close that ends the lease, too. It is in use as well by whoever has the weak reference that all share.
        """
        if self._proxy is None:
            return []
        weak: list[Any] = weakref.getweakrefs(self._con)
        shared = [one for one in weak if one.__callback__ is None and type(one) is weakref.ref]
        return [self._proxy, self._con, *shared]

    def keepers(self) -> list[object]:
        """What else refers to these, and gives them to nobody.

        The protocol does, if a callback listens; and it ends the lease itself when the server ends an idle session.
        """
        con = self._con
        calls = con._listeners or con._log_listeners or con._termination_listeners
        return [self, con._stmt_cache, *([] if calls or self._has_session_limit else [con._protocol])]

    @property
    def _has_session_limit(self) -> bool:
        """Whether the server was told, when it was opened, to end it after a while; not if a role's settings say so."""
        settings = str(self._con._params.server_settings)
        return any(limit in settings for limit in _SESSION_LIMITS)

    @property
    def _in_use(self) -> bool:
        return self not in self._leases.resting  # type: ignore[comparison-overlap]

    def end_loan(self) -> None:
        """The block of a lease of this package has ended."""
        self.loan += 1
        self.last_sql = None
        self._con._on_release()
        self.transactions.clear()

    def detach(self) -> None:
        """Make the handle useless."""
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            proxy._detach()

    async def reset(self, hook: Callable[[Any], Awaitable[None]] | None, budget: float | None) -> None:
        """Make it as new the way asyncpg's pool does.

        Args:
            budget: seconds; None: no limit.
        Raises: whatever goes wrong; the connection is then only good for closing.
        """
        con = self._con
        if con._protocol._is_cancelling():
            budget = await con._protocol._wait_for_cancellation(budget)
        if con.is_closed():
            return
        if hook is None:
            await con.reset(timeout=budget)
        else:
            async with asyncio.timeout(budget):
                await con._reset()
                await hook(con)
        self.keeps_session = self.is_standard
        self.is_interrupted = False

    async def release(self, timeout: float | None) -> None:
        """End the lease, which goes on when the caller is cancelled.

        Raises: what went wrong in the reset; the connection is closed then.
        """
        if self.is_held:
            self._timeout = timeout
            self._cleanup = self._leases.settle(self.holder)
        cleanup = self._cleanup  # in a variable: the next lease may have another by the time that this one is over
        if cleanup is not None:
            await asyncio.wait([cleanup])
            if cleanup.cancelled():  # by terminate()
                raise asyncpg.ConnectionDoesNotExistError(CUT_OFF)
        if self.release_error is not None:
            raise self.release_error

    def _release_on_close(self) -> None:
        """The connection is closed, by whomever: asyncpg tells its holder so."""
        if self._hold is not None:
            self.remains, self._hold = self._hold.unless_ended(), None
        self._leases.closed(self)
