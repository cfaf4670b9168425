"""Opens connections, and cuts them off: with ``connection.py`` the only file that knows asyncpg."""

from __future__ import annotations

import asyncio
import math
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

import asyncpg
from asyncpg.pool import PoolConnectionHolder

from dbpool.connection import PlainConnection, PooledConnection
from dbpool.core.route import DIRECT, Route, is_process
from dbpool.dialing import dial
from dbpool.faults import without_frames
from dbpool.flowcontrol import keep_flow_control
from dbpool.introspection import SharedTypes
from dbpool.outofstep import cut_quietly
from dbpool.poolermode import Pooler
from dbpool.remains import Remains
from dbpool.tls import Asked, Tls

if TYPE_CHECKING:
    from dbpool.core.fleetnames import Fleet
    from dbpool.credentials import Credentials, Secret
    from dbpool.dsn import Dsn
    from dbpool.reaching import Reaching
    from dbpool.settings import PoolSettings

# asyncio's own loop allocates this much for every read. Its default of 256 KiB is above malloc's threshold for mapping
# pages, so each answer, however small, costs page faults: 45 us of CPU a point lookup, and 27 us with 64 KiB. Large
# results are read as fast.
READ_SIZE = 64 * 1024
COPY_READ_SIZE = 192 * 1024  # about what a unix socket of Linux holds: the loop turns less often for as many bytes

# A peer that vanished is noticed within a minute where nothing is under way. What was sent and is not acknowledged is
# given up after ten: Linux takes 15 for that. Not sooner, for it also ends a COPY that waits so long behind a lock.
TCP_OPTIONS = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 600_000}

T = TypeVar("T")

# A request to cancel that arrives between two statements of an executemany stops neither.
MOST_STOPS = 5
STOP_AGAIN_S = 0.05

# Of the connect under way in a task: asyncpg's pool comes in between.
_leave: ContextVar[Callable[[Remains], None]] = ContextVar("leave")


class Driver:
    """The asyncpg pool behind the gate: it never has anyone waiting, for the gate's capacity is its ``max_size``."""

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._pool: Any = None
        self._types = SharedTypes()
        self.reaching: Reaching | None = None  # of an address with one server, of which nothing is asked, there is none
        named, target = settings.dsn.named, settings.target_session_attrs
        if len(named.hosts) > 1 or target is not None:
            from dbpool.reaching import Reaching

            assert not isinstance(target, str)  # settings have made it a Target
            assert not isinstance(settings.load_balance_hosts, str)
            self.reaching = Reaching(named, target, settings.load_balance_hosts, settings.quarantine_timeout)
        self._routes: dict[Any, Route] = {}  # by address
        self.route = DIRECT
        """Of the connection that was opened last."""
        self.on_route: Callable[[Route], None] = lambda _: None
        self.fleet: Fleet | None = None
        if settings.fleet_budget is not None:
            from dbpool.core.fleetnames import Fleet

            tag = os.urandom(4).hex()
            self.fleet = Fleet(settings.name, settings.fleet_budget, settings.fleet_members, tag)
        self._credentials: Credentials | None = None
        if settings.credentials is not None:
            from dbpool.credentials import Credentials

            self._credentials = Credentials(settings.credentials, settings.credentials_ttl)

    @property
    def _name(self) -> str:
        return f"pool '{self._settings.name}'"

    @cached_property
    def tls(self) -> Tls:
        """How its connections are protected."""
        return Tls(self._settings.dsn, self._settings.ssl)

    async def open(self, max_connections: int) -> None:
        """Make the asyncpg pool, with room for so many connections; opens none."""
        settings = self._settings
        self.tls.tell(self._name)
        self._pool = await asyncpg.create_pool(
            min_size=0,
            max_size=max_connections,
            max_queries=2**62,
            max_inactive_connection_lifetime=0,  # idle time and age are the leases' business
            connect=self._dial,
            connection_class=PooledConnection,
            command_timeout=settings.query_timeout,
            **self._address(),
        )

    async def _dial(self, *args: Any, **options: Any) -> PooledConnection:
        """As asyncpg's pool calls ``asyncpg.connect``."""

        async def once(login: dict[str, Any]) -> PooledConnection:
            how = {**options, **login, "ssl": self.tls.argument()}
            if self.reaching is not None:
                return cast("PooledConnection", await self._reach(self.reaching, _leave.get(), None, *args, **how))
            return await dial(lambda loop: self._open(loop, *args, **how), _leave.get())

        return await self._as_somebody(once)

    async def _reach(
        self, reaching: Reaching, leave: Callable[[Remains], None] | None, server: object, *args: Any, **how: Any
    ) -> Any:
        """Connect to *server*; None: to the one that will do."""

        def connect(**place: Any) -> Awaitable[Any]:
            loop = place.pop("loop")
            return self._open(loop, *args, **{**how, **place, "target_session_attrs": "any"})

        return await reaching.connect(connect, how["timeout"], leave, at=server)

    async def _as_somebody(self, connect: Callable[[dict[str, Any]], Awaitable[T]]) -> T:
        """Connect with the credentials of this moment; once more with new ones if they are refused.

        All of it has ``connect_timeout``.
        """
        if self._credentials is None:
            return await connect({})
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._settings.connect_timeout
        secret = await self._credentials.get(deadline)
        try:
            return await connect({**_as_options(secret), "timeout": deadline - clock()})
        except asyncpg.InvalidAuthorizationSpecificationError:  # of which a wrong password is one
            self._credentials.refused(secret)
        secret = await self._credentials.get(deadline)
        return await connect({**_as_options(secret), "timeout": deadline - clock()})

    async def _open(self, loop: asyncio.AbstractEventLoop, /, *args: Any, **how: Any) -> Any:
        """Connect, and have a connection of the pool's follow its route."""
        connection = await _open(loop, *args, **how)
        is_pools = PooledConnection in type(connection).__mro__  # isinstance() of asyncpg's says so of any connection
        return await self._routed(connection) if is_pools else connection

    async def _routed(self, connection: PooledConnection) -> PooledConnection:
        """Have it do what the way to the server asks for, which is found out by the first one that goes there.

        Looked at anew where all are gone, as when a pooler was restarted with other settings.
        """
        address = connection._addr  # type: ignore[attr-defined]
        route = self._routes.get(address)
        is_known = route is not None and (self.connections or route.is_direct)
        if not is_known or (route is DIRECT and not is_process(connection.get_server_pid())):
            try:
                route = await self._look(connection)
            except BaseException:
                connection.terminate()
                raise
        assert route is not None
        connection.follow(route)
        self._routes[address] = route
        if route != self.route:
            self.route = route
            self.on_route(route)
        return connection

    async def _look(self, connection: PooledConnection) -> Route:
        settings = self._settings
        if settings.pooler is not None and settings.pooler is not Pooler.TRANSACTION:
            return Route(settings.pooler)
        from dbpool.looking import look

        has_room = self._pool is not None and self._pool._maxsize > self.size + 1
        try:
            async with asyncio.timeout(settings.connect_timeout):
                return await look(
                    connection,
                    self.connect_apart if has_room else None,
                    told=settings.pooler,
                    wants_prepared=settings.statement_cache_size > 0,
                    server_settings=self._address()["server_settings"],
                )
        except TimeoutError:
            raise TimeoutError(
                f"it took the connection, and answered no query within connect_timeout, {settings.connect_timeout:g} s"
            ) from None

    async def connect_apart(self, server: object = None, timeout: float = math.inf) -> PlainConnection[Any]:
        """Open a connection that no count has, to any server that will do, or to *server*, an address of one.

        Raises: what the driver raises, without its frames: they hold the password.
        """
        try:
            connection = await self._open_apart(server, timeout)
        except Exception as error:
            without_frames(error)
            raise
        tune(connection)
        return connection

    async def _open_apart(self, server: object, timeout: float) -> PlainConnection[Any]:
        address = {**self._address(is_apart=True), "command_timeout": self._settings.reset_timeout}

        async def once(login: dict[str, Any]) -> PlainConnection[Any]:
            how = {**address, **login, "ssl": self.tls.argument()}
            how["timeout"] = min(how["timeout"], timeout)  # what gives the credentials may take longer
            if self.reaching is not None:
                return cast("PlainConnection[Any]", await self._reach(self.reaching, None, server, **how))
            return await dial(lambda loop: self._open(loop, **how), Remains.close)

        return await self._as_somebody(once)

    def _address(self, *, is_apart: bool = False) -> dict[str, Any]:
        """Where to connect, as whom and how; *is_apart*: beside the bound, and what a fleet counts."""
        settings = self._settings
        server_settings = dict(settings.server_settings)
        if self.fleet is not None and not is_apart:
            server_settings["application_name"] = self.fleet.application_name
        elif "application_name" not in settings.dsn.parameters:
            server_settings.setdefault("application_name", f"dbpool {settings.name}"[:63])
        return {
            "dsn": settings.dsn.reveal(),
            "timeout": settings.connect_timeout,
            # no names: behind a pooler another session would not know them, or have them for something else
            "statement_cache_size": 0 if is_apart else settings.statement_cache_size,
            "server_settings": server_settings,
        }

    @property
    def is_open(self) -> bool:
        return self._pool is not None

    @property
    def size(self) -> int:
        """Connections open now, in use or idle."""
        return 0 if self._pool is None else int(self._pool.get_size())

    @property
    def zombies(self) -> int:
        """Connects that were given up for another server, of which one may still make something."""
        return 0 if self.reaching is None else self.reaching.zombies

    @property
    def connections(self) -> list[PooledConnection]:
        """Those open now, in use or idle."""
        holders = () if self._pool is None else self._pool._holders
        return [holder._con for holder in holders if holder._con is not None and not holder._con.is_closed()]

    def renew_credentials(self) -> None:
        """Ask for the credentials anew when the next connection is opened."""
        if self._credentials is not None:
            self._credentials.renew()

    def grow(self, max_connections: int) -> None:
        """Have room for so many connections."""
        pool = self._pool
        pool._queue._maxsize = max(max_connections, pool._maxsize)
        while pool._maxsize < max_connections:
            holder = PoolConnectionHolder(pool, max_queries=pool._max_queries, max_inactive_time=0, setup=None)
            pool._holders.append(holder)
            pool._queue.put_nowait(holder)
            pool._maxsize += 1

    async def connect(self, leave: Callable[[Remains], None] = Remains.close) -> PooledConnection:
        """Open one connection, within ``connect_timeout``. The caller sees to it that the bound has room.

        If it fails, *leave* gets what is left of it where the server may still serve it.
        """
        _leave.set(leave)
        self._pool._check_init()
        holder = await self._pool._queue.get()
        try:  # as asyncpg's own acquire, which loses its holder to what is no Exception
            handle = await holder.acquire()
        except BaseException:
            self._pool._queue.put_nowait(holder)
            raise
        connection: PooledConnection = handle._con
        connection._holder = holder
        holder._proxy = holder._timeout = None
        handle._detach()
        try:
            self._prepare(connection)
        except BaseException:
            connection.terminate()
            holder._release_on_close()  # or its place would be lost; does nothing where that has come back
            if connection.remains is not None:
                leave(connection.remains)
            raise
        return connection

    def _prepare(self, connection: PooledConnection) -> None:
        """Give a connection that is new what the pool keeps of it.

        Raises:
            ConnectionResetError: it was lost in the instant in which it was made.
        """
        if connection.is_closed():
            raise ConnectionResetError("the connection was lost as soon as it was made")
        connection.is_broken = connection.is_interrupted = connection.is_demoted = False
        connection.retired_for = None
        connection.doomed_by = ""
        connection.held_by = f"pool '{self._settings.name}'"
        connection.at_work = connection.loan = 0
        connection.callers_error = connection.last_sql = None
        connection.settings = self._settings
        connection.transactions = []
        connection.types = self._types
        connection.record_class = connection._protocol.get_record_class()  # type: ignore[attr-defined]
        # a server that does not say so may have it otherwise
        connection.is_standard = getattr(connection.get_settings(), "standard_conforming_strings", "") == "on"
        connection.keeps_session = connection.is_standard or connection.route.shares_sessions
        self.tls.tell_role(self._name, getattr(connection.get_settings(), "is_superuser", "off"))
        tune(connection)

    async def stop_statements(self, timeout: float) -> None:
        """Have the server stop whatever runs, *timeout* seconds at the most: it may not notice a cut-off for long.

        Nothing more is sent on any connection afterwards.
        """
        running = self.connections
        for connection in running:
            connection.doom("the pool was closed")  # or a holder that shrugs the error off would send the next
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                for _ in range(MOST_STOPS):
                    await asyncio.gather(*(each.stop_statement() for each in running), return_exceptions=True)
                    running = [each for each in running if each.at_work and not each.is_closed()]
                    if not running:
                        break
                    await asyncio.sleep(STOP_AGAIN_S)

    def terminate(self) -> None:
        """Cut every connection off."""
        if self.reaching is not None:
            self.reaching.stop()
        if self._pool is not None:
            self._pool.terminate()


async def connect(dsn: Dsn, *, ssl: Asked = None, **options: Any) -> PlainConnection[Any]:
    """A connection of asyncpg's own, protected as a pool's are; *options* are those of ``asyncpg.connect``."""
    tls = Tls(dsn, ssl)
    how = {**options, "ssl": tls.argument()}
    return await dial(lambda loop: _open(loop, dsn.reveal(), **how), Remains.close)


def _open(dialing: Any, /, *args: Any, **how: Any) -> Awaitable[Any]:
    """``asyncpg.connect`` by *dialing*, a DialingLoop."""
    dialing.tls = how["ssl"]
    return asyncpg.connect(*args, **{**how, "loop": dialing})


def _as_options(secret: Secret) -> dict[str, str]:
    options = {} if secret.user is None else {"user": secret.user}
    return {**options, "password": secret.password}


def tune(connection: PlainConnection[Any]) -> None:
    """Read in smaller pieces, and end without a word to the loop where nothing that comes can be read.

    A peer that vanished is noticed within about a minute, also while idle.
    """
    transport = connection._transport  # type: ignore[attr-defined]
    cut_quietly(transport)
    keep_flow_control(transport)
    if hasattr(transport, "max_size"):
        transport.max_size = READ_SIZE
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in TCP_OPTIONS.items():
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


@contextmanager
def large_reads(connection: PooledConnection) -> Iterator[None]:
    """Let each read bring what a COPY has ready, where the event loop can be told how much that may be."""
    transport: Any = connection._transport  # type: ignore[attr-defined]
    usual = getattr(transport, "max_size", None)
    if usual is None:
        yield
        return
    transport.max_size = COPY_READ_SIZE
    try:
        yield
    finally:
        transport.max_size = usual
