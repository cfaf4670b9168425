"""Opens connections as ``asyncpg.create_pool`` was told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

import asyncpg

from dbpool.compat.connection import Borrowed
from dbpool.compat.plain import is_plain, is_still_plain
from dbpool.connecting import Connector
from dbpool.connection import PlainConnection, PooledConnection
from dbpool.driver import Driver, tune
from dbpool.errors import DbPoolError
from dbpool.events import ConnectFailed, ConnectionOpened, Reason
from dbpool.faults import one_line
from dbpool.remains import Remains
from dbpool.settings import LONGEST_S

if TYPE_CHECKING:
    from dbpool.compat.leases import HookedLeases
    from dbpool.settings import PoolSettings


class RecipeDriver(Driver):
    """Makes connections with *recipe*: a pool of asyncpg's that is never opened.

    It has checked its arguments, and calls ``connect`` and ``init`` as asyncpg does.
    """

    leases: HookedLeases

    def __init__(self, recipe: Any, settings: PoolSettings) -> None:
        super().__init__(settings)
        self.recipe = recipe
        self.is_closing = False
        self.generation = 0
        self.longest_s: float = LONGEST_S
        """For a statement that is sent without a limit of its own: the least ``command_timeout`` of those open."""
        self.open_connections: set[Borrowed] = set()
        self.hooks_own: WeakSet[DbPoolError] = WeakSet()  # what hooks have raised, which says nothing about this pool
        is_hooked = recipe._connect is not asyncpg.connect
        self._class: type[Any] = recipe._connection_class  # of the newest connection
        self._was_plain = not is_hooked and is_plain(self._class)
        self._opens_as_new = not is_hooked and recipe._init is None

    @property
    def is_plain(self) -> bool:
        """Whether statements may be sent without calling the connections' methods."""
        return self._was_plain and is_still_plain(self._class)

    @property
    def size(self) -> int:
        return len(self.connections)

    @property
    def connections(self) -> list[PooledConnection]:
        return cast(list[PooledConnection], [one for one in self.open_connections if not one.is_closed()])

    @property
    def is_open(self) -> bool:
        return True

    def grow(self, max_connections: int) -> None:
        """There is room for any number."""

    async def connect(self, leave: Callable[[Remains], None] = Remains.close) -> PooledConnection:  # noqa: ARG002
        generation = self.generation
        con = await self.recipe._get_new_connection()
        if self.is_closing:
            await con.close()
            raise asyncpg.InterfaceError("pool is closing")
        if con.is_closed():
            raise asyncpg.ConnectionDoesNotExistError("connection was closed during pool initialization")
        connection = Borrowed(con, self.leases, self._settings)
        # What a hook has set in the session lasts until the first reset, so that one must not be left out.
        connection.keeps_session = self._opens_as_new and connection.is_standard
        if generation != self.generation:
            connection.retire(Reason.DRAINED)
        self._class, self._was_plain = type(con), is_plain(type(con))
        self.open_connections.add(connection)
        self._note_limits()
        tune(con)
        return cast(PooledConnection, connection)  # all that the leases and the calls need of one

    def closed(self, connection: Borrowed) -> None:
        self.open_connections.discard(connection)
        self._note_limits()

    def _note_limits(self) -> None:
        self.longest_s = min((one.command_timeout for one in self.open_connections), default=LONGEST_S)

    def expire(self) -> None:
        """Let no connection that is open or being opened now outlast its lease."""
        self.generation += 1
        for connection in self.open_connections:
            connection.retire(Reason.DRAINED)

    def note_raised(self, error: BaseException) -> None:
        """A hook has raised *error*."""
        if isinstance(error, DbPoolError):
            self.hooks_own.add(error)

    async def _open_apart(self, *_: object) -> PlainConnection[Any]:
        recipe = self.recipe
        con: PlainConnection[Any] = await recipe._connect(
            *recipe._connect_args,
            loop=recipe._loop,
            connection_class=asyncpg.Connection,
            record_class=recipe._record_class,
            **recipe._connect_kwargs,
        )
        return con

    def terminate(self) -> None:
        for connection in list(self.open_connections):
            connection.cut_off()


class DirectConnector(Connector):
    """Opens a connection for whoever has a permit and none, in their own task, and tells them what went wrong."""

    _driver: RecipeDriver

    async def obtain(self, asker: str = "") -> PooledConnection:  # noqa: ARG002 - they get the driver's own errors
        opener = asyncio.current_task()
        assert opener is not None
        self._openers.add(opener)
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            connection = await self._driver.connect()
        except Exception as error:
            self.connect_failures_total += 1
            self.last_error = error
            self._driver.note_raised(error)
            self._events.tell(ConnectFailed(one_line(error), 1, error))
            raise
        finally:
            self._openers.discard(opener)
        self.connects_total += 1
        self._events.tell(ConnectionOpened(clock() - started))
        return connection
