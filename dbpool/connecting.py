"""Opening connections: a few at a time, on nobody's time but the pool's."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable

from dbpool.connection import PooledConnection
from dbpool.core.outage import Outage
from dbpool.core.poolerwords import remedy_for_connect
from dbpool.core.retry import Backoff, Verdict, verdict
from dbpool.core.route import Route
from dbpool.driver import Driver
from dbpool.errors import CredentialsError, PoolClosed, ServerUnavailable
from dbpool.events import ConnectFailed, ConnectionOpened, Events, OutageEnded, PoolerFound, QuarantineEnded, Reason
from dbpool.faults import is_distrusted, limit_reached, one_line, sqlstate, transport_remedy, without_frames
from dbpool.finish import Cleanups
from dbpool.remains import Remains
from dbpool.serverkinds import named_server
from dbpool.settings import PoolSettings

log = logging.getLogger("dbpool")

# A server that was away for long is found within this time when it comes back; see core/outage.py for one that was not.
LONGEST_BACKOFF_S = 1.0
# Where there are several, one of them may be promoted at any moment; most answers are a refused connect.
LONGEST_BACKOFF_OF_SEVERAL_S = 0.1
# A connect takes milliseconds, across the world and with TLS some tenths of a second.
SLOW_S = 1.0

# As the server says where a session is to begin with a setting that it has not. Trying again changes nothing.
UNKNOWN_PARAMETER = "42704"


class Connector:
    """Gives connections to callers that hold a permit and have none.

    They stand in a line of their own, at most as long as the capacity. Each is served by whatever comes first: a
    connection that somebody gives back, or a new one. A connect that its caller no longer waits for goes on, and its
    connection becomes a spare.
    """

    # Always true between two calls:
    #   connections out or idle + opening <= capacity: a connect starts only for a permit that has no connection, or
    #   ahead of any where the bound has room; who comes then waits for that one
    #   a caller wants only while there is no spare

    def __init__(
        self, driver: Driver, settings: PoolSettings, events: Events, on_spare: Callable[[PooledConnection], None]
    ) -> None:
        self._events = events
        self._driver = driver
        self._settings = settings
        self._on_spare = on_spare
        self._wanting: dict[asyncio.Future[PooledConnection | Exception], str] = {}  # a line, and who asked by name
        self._tasks = Cleanups()
        has_several = len(settings.dsn.named.hosts) > 1
        longest_s = LONGEST_BACKOFF_OF_SEVERAL_S if has_several else LONGEST_BACKOFF_S
        self._outage = Outage(settings.outage_patience, Backoff(cap_s=longest_s))
        self._is_closed = False
        driver.on_route = self._found
        self._openers: set[asyncio.Task[None]] = set()
        self._under_way: list[float] = []  # when each connect began
        self.connects_total = 0
        self.connect_failures_total = 0
        self.last_error: Exception | None = None
        self.zombies = 0  # connects that failed, of which the server may still make something

    @property
    def opening(self) -> int:
        """Connects under way."""
        return len(self._openers)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody may be waiting for a connection."""
        return bool(self._wanting)

    async def obtain(self, asker: str = "") -> PooledConnection:
        """Wait for a connection; the caller holds a permit and sets the time limit.

        Args:
            asker: pool and lane, for messages; empty: the pool.
        Raises:
            ServerUnavailable: connecting has failed for longer than ``outage_patience`` and no connection is left
                that could come back.
            PoolClosed: the pool was closed.
        Cancelling: leaves the line; a connection that came in the same instant becomes a spare.
        """
        asker = asker or f"pool '{self._settings.name}'"
        if self._is_closed:
            raise self._closed(asker)
        now = asyncio.get_running_loop().time()
        if not self.opening:
            self._outage.begins(now)
        if self._is_hopeless(now) and (self.opening or now < self._outage.next_try_at):
            raise self._unavailable(asker, now)
        want: asyncio.Future[PooledConnection | Exception] = asyncio.get_running_loop().create_future()
        self._wanting[want] = asker
        self._start_opening()
        try:
            answer = await want
        except BaseException:
            self._wanting.pop(want, None)
            if want.done() and not want.cancelled() and not isinstance(came := want.result(), Exception):
                self.give(came)
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def offer(self, connection: PooledConnection) -> bool:
        """Give *connection* to the first caller that wants one; False if none does."""
        want = self._first_wanting()
        if want is not None:
            want.set_result(connection)
        return want is not None

    def give(self, connection: PooledConnection) -> None:
        """Give *connection* to whoever wants one, else make it a spare."""
        if not self.offer(connection):
            self._on_spare(connection)

    async def wait_opened(self) -> None:
        """Return once no connect is under way."""
        while self._openers:  # not until the tasks are gone: one that has ended may be an opener for some turns yet
            await asyncio.wait(self._openers)

    async def close(self) -> None:
        """Stop opening; fail everyone who still wants a connection."""
        self._is_closed = True
        self._fail_all(self._closed)
        self._tasks.cancel_all()
        await self._tasks.wait_all()

    def is_hindered(self, now: float) -> bool:
        """Whether somebody waits for a connect, of which the last failed or one takes too long."""
        return bool(self._outage.failures) or (self.is_wanted and now - self._oldest_since(now) > SLOW_S)

    @property
    def hindrance(self) -> Exception | None:
        """The driver's error of the last connect, if it failed."""
        return self.last_error if self._outage.failures else None

    def advice(self, now: float) -> str:
        """What to tell a caller that had a permit and got no connection in time."""
        if self.hindrance is not None:
            return f"The last of {self._outage.failures} failed connects: {one_line(self.hindrance)}"
        check = "check the server, and the network between"
        if self._under_way:
            return f"A connect has been under way for {now - self._oldest_since(now):.1f} s: {check}."
        return f"The server has not answered: {check}."

    def _oldest_since(self, now: float) -> float:
        """When the connect began that has been under way for longest."""
        return min(self._under_way, default=now)

    def notes(self) -> tuple[str, ...]:
        """What a report says of the connections themselves."""
        counts = {"open": self._driver.size, "being opened": self.opening, "given up half-way": self.zombies}
        notes = [f"connections: {', '.join(f'{count} {what}' for what, count in counts.items() if count) or 'none'}"]
        if len(self._settings.dsn.named.hosts) > 1:
            servers = Counter(named_server(each) for each in self._driver.connections)
            notes.append(f"servers: {', '.join(f'{count} to {server}' for server, count in servers.items()) or 'none'}")
        if not self._driver.route.is_direct:
            notes.append(f"through {self._driver.route}")
        if self.last_error is not None:
            notes.append(f"the last connect that failed: {one_line(self.last_error)}")
        return tuple(notes)

    def _start_opening(self) -> None:
        wanted = sum(not want.done() for want in self._wanting)
        for _ in range(min(wanted, self._outage.connects_at_once(self._settings.max_connecting)) - self.opening):
            self._open_one()

    def open_ahead(self, count: int) -> None:
        """Open *count* connections for which nobody waits; the bound must have room for them. None if *count* < 1."""
        at_once = self._outage.connects_at_once(self._settings.max_connecting)
        for _ in range(0 if self._is_closed else min(count, at_once - self.opening)):
            self._open_one()

    def _open_one(self) -> None:
        opener = self._tasks.start(self._open())
        self._openers.add(opener)
        opener.add_done_callback(self._openers.discard)  # also if it is cancelled before its first turn

    async def _open(self) -> None:
        connection = await self._connect_for_whoever_waits()
        opener = asyncio.current_task()
        assert opener is not None
        self._openers.discard(opener)
        if connection is not None:
            self.give(connection)
            self._start_opening()  # more at once again, now that it works

    async def _connect_for_whoever_waits(self) -> PooledConnection | None:
        loop = asyncio.get_running_loop()
        outage = self._outage
        while True:
            await asyncio.sleep(max(0.0, outage.next_try_at - loop.time()))
            started = loop.time()
            left: list[Remains] = []
            try:
                connection = await self._connect(started, left.append)
            except Exception as error:  # whatever it is, it is told to those who wait
                self._failed(error, started, loop.time())
                await self._see_off(left)
            else:
                now = loop.time()
                self.connects_total += 1
                connection.expires_at = now + self._settings.max_lifetime * random.uniform(0.9, 1.0)
                connection.expires_for = Reason.TOO_OLD
                connection.idle_since = connection.seen_alive_at = now
                self._events.tell(ConnectionOpened(now - started))
                if outage.failures:
                    self._events.tell(OutageEnded(outage.failures, now - outage.since))
                    outage.ended()
                return connection
            finally:
                for remains in left:
                    remains.close()  # which nobody has waited for: the pool was closed meanwhile
            if self._is_closed or self.opening > outage.connects_at_once(self._settings.max_connecting):
                return None  # one prober is enough
            if all(want.done() for want in self._wanting):
                return None

    async def _connect(self, started: float, leave: Callable[[Remains], None]) -> PooledConnection:
        self._under_way.append(started)
        try:
            return await self._driver.connect(leave)
        finally:
            self._under_way.remove(started)

    async def _see_off(self, left: list[Remains]) -> None:
        """Wait until the server has given up a failed connect, too; until then this opener stands for it."""
        if left:
            self.zombies += len(left)
            try:
                waits = (remains.wait_gone(self._settings.quarantine_timeout) for remains in left)
                is_gone = await asyncio.gather(*waits)
            finally:
                self.zombies -= len(left)
            if not all(is_gone):
                self._events.tell(QuarantineEnded(is_gone=False, zombies=self.zombies))

    def _found(self, route: Route) -> None:
        level = logging.INFO if route.is_certain and not route.lost_settings else logging.WARNING
        event = PoolerFound(route.pooler.value, str(route), route.keeps_prepared, route.is_certain)
        log.log(level, "pool '%s' goes through %s", self._settings.name, route)
        self._events.tell(event)

    def _failed(self, error: Exception, started: float, now: float) -> None:
        self.connect_failures_total += 1
        without_frames(error)
        self.last_error = error
        state = sqlstate(error)
        denied = (
            is_distrusted(error)
            or state == UNKNOWN_PARAMETER
            or (state is not None and verdict(state) is Verdict.DENIED)
        )
        self._outage.failed(started, now, denied=denied, chance=random.random())
        self._events.tell(ConnectFailed(one_line(error), self._outage.failures, error))
        if self._is_hopeless(now):
            self._fail_all(lambda asker: self._unavailable(asker, now))

    def _is_hopeless(self, now: float) -> bool:
        return self._outage.refuses(now) and self._driver.size == 0

    def _fail_all(self, error: Callable[[str], Exception]) -> None:
        wanting, self._wanting = self._wanting, {}
        for want, asker in wanting.items():
            if not want.done():
                want.set_result(error(asker))  # one each: they are raised in different tasks

    def _first_wanting(self) -> asyncio.Future[PooledConnection | Exception] | None:
        """Take the first of those who still wait out of their line."""
        while self._wanting:
            want = next(iter(self._wanting))
            del self._wanting[want]
            if not want.done():
                return want
        return None

    def _closed(self, asker: str) -> PoolClosed:
        return PoolClosed(f"{asker} was closed while this caller waited for a connection")

    def _unavailable(self, asker: str, now: float) -> ServerUnavailable:
        outage, dsn = self._outage, self._settings.dsn
        assert self.last_error is not None
        if remedy_in_words := remedy_for_connect(str(self.last_error)):
            remedy = remedy_in_words
        elif isinstance(self.last_error, CredentialsError):
            remedy = "Check the function given as credentials, and what it asks."
        elif transport := transport_remedy(self.last_error, dsn.parameters):
            remedy = transport
        elif sqlstate(self.last_error) == UNKNOWN_PARAMETER:
            remedy = (
                "What stands behind the '?' of the address is sent to the server, as server_settings is, unless the "
                "driver knows it: leave it out. A time limit for connecting is the setting connect_timeout."
            )
        elif outage.is_denied:
            remedy = "Check the user, the password and the database's name."
        elif limit := limit_reached(self.last_error):
            remedy = f"The limit is {limit}: see who is connected in pg_stat_activity, or raise it."
        else:
            remedy = "Check that the server runs and that this machine reaches it."
        error = ServerUnavailable(
            f"no connection to database '{dsn.database}' at {dsn.host or 'the default host'} for "
            f"{asker}: {one_line(self.last_error)} ({outage.failures} failed "
            f"connect{'s' if outage.failures > 1 else ''} in {now - outage.since:.1f} s, next try in "
            f"{max(0.0, outage.next_try_at - now):.1f} s). {remedy}"
        )
        error.__cause__ = self.last_error
        return error
