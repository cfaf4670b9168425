"""A fake server's session as a pool's users see it: with transactions, many statements at once, a handle."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import asyncpg

from dbpool.connection import Answer, Want
from dbpool.errors import UsageError
from dbpool.loan import Loan, nobody
from dbpool.ownership import InnerRef
from dbpool.testing.fake.answers import Answers
from dbpool.testing.fake.connection import Answered, FakeConnection
from dbpool.testing.fake.script import Reply
from dbpool.testing.fake.transactions import FakeTransaction
from dbpool.transaction import Transaction
from dbpool.transactionoptions import TransactionOptions

if TYPE_CHECKING:
    from dbpool.settings import PoolSettings
    from dbpool.testing.fake.driver import FakeDriver


class FakeSession(FakeConnection):
    """Stands in for ``dbpool.connection.PooledConnection`` under whole pools."""

    settings: PoolSettings

    def __init__(self, driver: FakeDriver, number: int) -> None:
        super().__init__(driver, number)
        self._transaction = FakeTransaction()
        self._lent: Callable[[], Loan | None] = nobody
        self._loop = asyncio.get_running_loop()
        self._holder = None
        self.transactions: list[InnerRef[Any]] = []
        self.loan = self.at_work = 0
        self.doomed_by = ""

    # What a pool uses

    @property
    def is_quiet(self) -> bool:
        return super().is_quiet and not self._transaction.is_open and not self.at_work

    def is_in_transaction(self) -> bool:
        return self._transaction.is_open

    def doom(self, by: str) -> None:
        self.is_broken = True
        self.doomed_by = by

    async def run(self, sql: str, args: Sequence[object], want: Want, timeout: float) -> Answer:
        self._check_fit()
        self.last_sql = sql  # type: ignore[assignment]
        return _as_wanted(await super().run(sql, args, want, timeout), want)

    async def executemany(self, command: str, args: Iterable[Sequence[object]], *, timeout: float) -> None:
        self._check_fit()
        for each in list(args):
            await self.run(command, each, Want.STATUS, timeout)

    async def clean(self, timeout: float) -> None:
        await super().clean(timeout)
        self._transaction.end()

    def lend(self, lease: object, *, in_block: bool) -> Loan:  # type: ignore[override]
        loan = Loan(self, lease, in_block=in_block)
        self._lent = InnerRef(loan)
        return loan

    def handles(self) -> list[object]:
        handle = self._lent()
        return [] if handle is None else [handle]

    def end_loan(self) -> None:
        super().end_loan()
        self.loan += 1
        self.last_sql = None
        self.transactions.clear()
        handle, self._lent = self._lent(), nobody
        if handle is not None:
            handle._con = None  # noqa: SLF001 - as asyncpg does when it is released

    def keep_if_heard(self, loan: Loan) -> None:
        """Nothing is ever heard here."""

    # What a handle has, as asyncpg's connections

    async def fetch(self, query: str, *args: object, timeout: float | None = None) -> Any:
        return await self._asked(query, args, Want.ROWS, timeout)

    async def fetchrow(self, query: str, *args: object, timeout: float | None = None) -> Any:
        rows = await self._asked(query, args, Want.ROW, timeout)
        return rows[0] if rows else None

    async def fetchval(self, query: str, *args: object, column: int = 0, timeout: float | None = None) -> Any:
        rows = await self._asked(query, args, Want.ROW, timeout)
        return rows[0][column] if rows else None

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> Any:
        return await self._asked(query, args, Want.STATUS, timeout)

    def transaction(self, **options: Any) -> Transaction:
        connection: Any = self
        return Transaction(connection, TransactionOptions(**options))

    def cursor(self, query: str, *args: object, **_: object) -> FakeCursor:
        return FakeCursor(lambda: self._read(query, args))

    def get_server_pid(self) -> int:
        return self.number

    # What it does

    async def _read(self, query: str, args: Sequence[object]) -> AsyncIterator[Any]:
        if not self._transaction.is_open:
            raise asyncpg.NoActiveSQLTransactionError("cursor cannot be created outside of a transaction")
        for row in await self._asked(query, args, Want.ROWS, None):
            yield row

    async def _asked(self, query: str, args: Sequence[object], want: Want, timeout: float | None) -> Answer:
        self.keeps_session = False
        self.at_work += 1
        try:
            return await self.run(query, args, want, timeout or self.settings.query_timeout)
        except (TimeoutError, asyncio.CancelledError):
            self.is_interrupted = True
            raise
        finally:
            self.at_work -= 1

    def _check_fit(self) -> None:
        if self.doomed_by:
            raise asyncpg.ConnectionDoesNotExistError(
                f"{self.doomed_by}: this connection is closed when its lease ends"
            )

    async def _wait(self, answer: asyncio.Future[Any], want: Want) -> Answer:
        result = await Answered(answer)
        return result.rows[: want.limit] if want.limit else result.rows, result.status.encode(), True

    def _reply_to(self, sql: str, args: Sequence[object]) -> Reply:
        script = self._driver.script
        assert isinstance(script, Answers)
        commands = self._transaction.takes(sql)
        try:
            if commands:
                return Reply(rows=(), status=self._transaction.run(commands))
            self._transaction.check_takes_statements()
        except asyncpg.PostgresError as error:
            return Reply(error=error)
        return script.reply(sql, args, asyncio.get_running_loop().time())

    def _result_of(self, reply: Reply, args: Sequence[object]) -> Any:
        return _Result(list(reply.rows or ()), reply.status)

    def _failed(self) -> None:
        self._transaction.fail()


class FakeCursor:
    """The rows of a statement, for ``async for``."""

    def __init__(self, read: Callable[[], AsyncIterator[Any]]) -> None:
        self._read = read
        self._connection: Any = None  # the handle that it was made of, so that it lives

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._read()

    def __await__(self) -> NoReturn:
        raise UsageError("a fake connection's cursor is for 'async for': test what else it does on a real server")


class _Result:
    """A statement's rows and its status."""

    def __init__(self, rows: list[Any], status: str) -> None:
        self.rows = rows
        self.status = status or f"SELECT {len(rows)}"


def _as_wanted(result: _Result, want: Want) -> Answer:
    if want.status:
        return result.status
    return result.rows[: want.limit] if want.limit else result.rows


def _lacking(name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def lacking(*_: object, **__: object) -> None:
        raise UsageError(f"a fake connection has no {name}(): test what needs it on a real server")

    return lacking


for _name, _ in inspect.getmembers(asyncpg.Connection, inspect.iscoroutinefunction):
    if not _name.startswith("_") and not hasattr(FakeSession, _name):
        setattr(FakeSession, _name, _lacking(_name))
