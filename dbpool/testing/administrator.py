"""Makes and drops the databases of tests, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from dbpool.testing.databases import create, drop, new_name, wait_left
from dbpool.testing.server import Server

T = TypeVar("T")

IDLE_S: Final = 0.1  # who looks at the server must not see a session that has nothing to do with the test
PATIENCE_S: Final = 120.0  # for anything that is done here; a busy machine takes seconds to make a database


class _Hand:
    """A connection beside all tests, while there is something to do; it does one thing at a time."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Any = None
        self._turn = asyncio.Lock()
        self._resting: asyncio.Task[None] | None = None

    async def do(self, work: Callable[[Any], Awaitable[T]]) -> T:
        import asyncpg

        async with self._turn:
            if self._resting is not None:
                self._resting.cancel()
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(self._dsn)
            try:
                return await work(self._connection)
            finally:
                self._resting = asyncio.create_task(self._rest())

    async def _rest(self) -> None:
        await asyncio.sleep(IDLE_S)
        await self.hang_up()

    async def hang_up(self) -> None:
        """Close it: nothing more is to be done, for now."""
        async with self._turn:
            if self._resting is not None and self._resting is not asyncio.current_task():
                self._resting.cancel()
            self._resting = None  # from here on it is not cancelled
            if self._connection is not None:
                await self._connection.close()
                self._connection = None


class Administrator:
    """Two connections beside the tests, in an event loop beside theirs, so that tests of any kind can wait for it.

    The next clone of a template is made while a test runs on the one before, and what a test has done with is dropped
    meanwhile.
    """

    def __init__(self, server: Server) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dbpool.testing", daemon=True)
        self._thread.start()
        self._maker, self._looker = _Hand(server.admin), _Hand(server.admin)  # no test waits for another's database
        self._spares: dict[str, Future[str]] = {}
        self._under_way: list[Future[Any]] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work* to its end in this loop, while the caller's thread waits."""
        return self._start(work).result(PATIENCE_S)

    def new_database(self, template: str | None) -> str:
        """The name of a new database, a clone of *template* or an empty one."""
        key = template or ""
        spare = self._spares.pop(key, None) or self._start(self._create(template))
        name = spare.result(PATIENCE_S)
        self._spares[key] = self._start(self._create(template))
        return name

    def wait_left(self, name: str, patience_s: float) -> Sequence[Any]:
        """The sessions that are in a database after so many seconds."""
        return self.run(self._looker.do(lambda admin: wait_left(admin, name, patience_s)))

    def drop_soon(self, name: str) -> None:
        """Have a database dropped; who is in it is thrown out."""
        self._under_way.append(self._start(self._maker.do(lambda admin: drop(admin, name))))

    def drop(self, name: str) -> None:
        """The same, and wait for it."""
        self.run(self._maker.do(lambda admin: drop(admin, name)))

    def forget(self, template: str) -> None:
        """Drop the spare clone of *template*."""
        spare = self._spares.pop(template, None)
        if spare is not None:
            self.drop(spare.result(PATIENCE_S))

    async def execute(self, sql: str) -> None:
        await self._maker.do(lambda admin: admin.execute(sql))

    async def value(self, sql: str) -> Any:  # noqa: ANN401 - whatever type the column has
        return await self._maker.do(lambda admin: admin.fetchval(sql))

    def close(self) -> None:
        """Wait for what is under way, drop what nobody uses, end the thread."""
        try:
            for template in list(self._spares):
                self.forget(template)
            for each in self._under_way:
                each.result(PATIENCE_S)
            self.run(self._maker.hang_up())
            self.run(self._looker.hang_up())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _create(self, template: str | None) -> str:
        name = new_name()
        await self._maker.do(lambda admin: create(admin, name, template))
        return name
