"""A pool without a server, for unit tests: everything is real but the connections."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from dbpool.driver import Driver
from dbpool.errors import UsageError
from dbpool.leases import Leases
from dbpool.pool import DatabasePool
from dbpool.testing.fake.answers import QUICK_S, Answer, Answers, Asked, Does
from dbpool.testing.fake.driver import FakeDriver
from dbpool.testing.fake.records import FakeRecord
from dbpool.testing.fake.session import FakeSession

if TYPE_CHECKING:
    from dbpool.bulk.access import Access
    from dbpool.listening import Subscription
    from dbpool.options import Options

_DSN = "postgresql://app@fake.invalid/fake"


class FakePool(DatabasePool):
    """A DatabasePool whose server answers as it is told, for programs under unit test.

    Gate, lanes, leases, transactions, time limits, deadlines and errors are those of the real pool; what is not there
    is data: a statement has the answer that ``on`` gave it, whatever was written before. Bulk work and ``listen`` need
    a real server and say so. In virtual time (the fixture ``virtual_time``, or ``dbpool.testing.run``) waiting takes
    no time, so that a test of ``acquire_timeout=30`` takes microseconds.

    Args:
        max_connections: as of DatabasePool.
        strict: a statement without an answer raises UnexpectedStatement, and once more where the pool's block ends, in
            case the program has swallowed it; False: it has no rows.
        options: as of DatabasePool.
    Raises:
        SettingsError: as of DatabasePool.
    Example::

        async with FakePool(max_connections=2) as db:
            db.on("select name from users where id = $1", rows=[{"name": "Ada"}])
            assert await greet(db, 7) == "Hello, Ada"
            assert db.asked[-1].args == (7,)
    """

    def __init__(self, max_connections: int = 5, *, strict: bool = True, **options: Unpack[Options]) -> None:
        self._answers = Answers(strict=strict)
        super().__init__(_DSN, max_connections, **options)

    def _run_on(self, leases: Leases) -> None:
        settings = self._settings
        self._server = driver = FakeDriver(settings.max_connections, self._answers, settings.connect_timeout)

        def session(driver: FakeDriver, number: int) -> FakeSession:
            session = FakeSession(driver, number)
            session.settings = settings
            return session

        driver.make_connection = session
        # the gate stays: lanes may have been made of it
        super()._run_on(Leases(settings, cast("Driver", driver), leases.gate, self._events))

    # What the server is told

    def on(
        self,
        sql: str | re.Pattern[str],
        *,
        rows: Sequence[Mapping[str, Any] | FakeRecord] | None = None,
        value: Any = None,
        status: str | None = None,
        raises: Exception | None = None,
        does: Does | None = None,
        after: float = QUICK_S,
        times: int | None = None,
        takes: type = object,
        cuts: bool = False,
    ) -> Answer:
        """Answer *sql* so from now on; of several that fit, the newest counts.

        Args:
            sql: the whole text, blanks aside, or a compiled pattern that is searched for in it.
            rows: one mapping from the columns' names to values for each row.
            value: one row with one column.
            status: what ``execute`` returns, as ``UPDATE 1``; by default ``SELECT`` and the number of rows.
            raises: the server's error, as ``asyncpg.UniqueViolationError("duplicate key")``.
            does: called with the parameters; returns rows, a status or an error, or raises one.
            after: seconds until the answer comes.
            times: how often, before an older answer counts again; None: always.
            takes: the type that each parameter must have; others raise ``asyncpg.DataError``.
            cuts: the connection is lost instead.
        Returns: the answer; its ``asked`` has the statements that got it.
        Raises:
            UsageError: more than one kind of answer, a row that is no mapping, or an error that is none.
        """
        return self._answers.add(
            sql,
            rows=rows,
            value=value,
            status=status,
            raises=raises,
            does=does,
            after=after,
            times=times,
            takes=takes,
            cuts=cuts,
        )

    @property
    def asked(self) -> list[Asked]:
        """Every statement that reached the server, in order, without those that begin and end transactions."""
        return self._answers.asked

    @property
    def connect_s(self) -> float:
        """Seconds that opening a connection takes; may be set."""
        return self._answers.connect_s

    @connect_s.setter
    def connect_s(self, seconds: float) -> None:
        self._answers.connect_s = seconds

    def go_down(self, error: Exception | None = None) -> None:
        """Cut every connection, and refuse new ones with *error*, until ``come_back``; None: connection refused."""
        self._answers.connect_error = error or ConnectionRefusedError("the fake server is down")
        self.lose_connections()

    def come_back(self) -> None:
        """Take connections again."""
        self._answers.connect_error = None

    def lose_connections(self) -> None:
        """Cut every connection, as a server does that is restarted."""
        for connection in self._server.connections:
            connection.lose()

    def check(self) -> None:
        """Raise if it was asked what it has no answer for, or if more connections were open than may be.

        Raises:
            UnexpectedStatement: with what was asked, what it has answers for, and what came before.
        """
        self._answers.check()
        self._server.check()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
        if exc[0] is None:
            self.check()

    # What it cannot

    def listen(self, *channels: str, buffer: int = 1000) -> Subscription:
        """Not there: notifications come from a real server."""
        raise UsageError("a fake pool has no listen(): notifications are tested on a real server")

    def _access(self) -> Access:
        raise UsageError("a fake pool has no bulk work: map, load, export, job and the like need a real server")
