"""What the server says is changed on its way: the caller is told, and nobody else meets that connection."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeAlias

from dbpool import CommitOutcomeUnknown, ConnectionLost, DatabasePool, QueryTimeout
from tests.support.databases import Database
from tests.support.mangling import Mangler, mangler_before
from tests.support.pools import pool_of

READ = "select n from generate_series(1, $1::int) n"
PID = "select pg_backend_pid()"

Case: TypeAlias = Callable[[DatabasePool, Mangler, Callable[[], None]], Awaitable[None]]


@contextmanager
def silent_loop() -> Iterator[None]:
    """The loop's exception handler hears of nothing within the block."""
    loop, heard = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: heard.append(context))
    try:
        yield
    finally:
        loop.set_exception_handler(None)
    is_uvloop = type(loop).__module__.startswith("uvloop")  # of which nothing can be kept
    assert is_uvloop or not heard, heard


@asynccontextmanager
async def mangled(database: Database, **options: Any) -> AsyncIterator[tuple[DatabasePool, Mangler]]:  # noqa: ANN401 - settings
    async with mangler_before(database.dsn) as (mangler, dsn):
        limits = {"query_timeout": 0.5, "reset_timeout": 0.25, "quarantine_timeout": 0.5} | options
        async with pool_of(dsn, 1, **limits) as db:
            for _ in range(2):
                assert len(await db.fetch(READ, 3)) == 3
                await db.fetchval(PID)
            yield db, mangler


def letter(to: bytes) -> Callable[[bytes], bytes]:
    return lambda message: to + message[1:]


def length(n: int) -> Callable[[bytes], bytes]:
    return lambda message: message[:1] + n.to_bytes(4, "big", signed=True) + message[5:]


def twice(message: bytes) -> bytes:
    return message * 2


def never(_: bytes) -> bytes:
    return b""


CHANGES = {
    "unknown": letter(b"~"),
    "negative": length(-1),
    "nothing": length(0),
    "short": length(4),
    "twice": twice,
    "lost": never,
}
CASES = [each for each in itertools.product(CHANGES, (b"2", b"D", b"C", b"Z")) if each != ("short", b"2")]
AT_ONCE = 8


async def in_each(database: Database, cases: list[tuple[str, bytes]], case: Case) -> None:
    """Run *case* in a pool of its own for each of *cases*."""
    few = asyncio.Semaphore(AT_ONCE)

    async def run(change: str, kind: bytes) -> None:
        async with few, mangled(database) as (db, mangler):
            try:
                await case(db, mangler, lambda: mangler.once(kind, CHANGES[change]))
            except BaseException as error:
                error.add_note(f"{change} {kind!r}")
                raise

    with silent_loop():
        async with asyncio.TaskGroup() as group:
            for change, kind in cases:
                group.create_task(run(change, kind))


async def test_rows_are_whole_or_an_error_whatever_message_of_an_answer_is_changed(database: Database) -> None:
    async def case(db: DatabasePool, mangler: Mangler, arm: Callable[[], None]) -> None:
        arm()
        asked = [asyncio.create_task(db.fetch(READ, 3 + n)) for n in range(3)]  # one is sent, two stand in line
        ends = await asyncio.gather(*asked, return_exceptions=True)
        for n, end in enumerate(ends):
            assert isinstance(end, (ConnectionLost, QueryTimeout)) or len(end) == 3 + n, (n, end)  # type: ignore[arg-type]
        assert mangler.changed == 1
        async with asyncio.timeout(5):
            assert len(await db.fetch(READ, 3)) == 3

    await in_each(database, CASES, case)


async def test_what_makes_no_sense_costs_the_connection_and_no_caller_behind_it(database: Database) -> None:
    async def case(db: DatabasePool, mangler: Mangler, arm: Callable[[], None]) -> None:
        before = await db.fetchval(PID)
        arm()
        with suppress(ConnectionLost):
            assert len(await db.fetch(READ, 3)) == 3
        await asyncio.sleep(0.05)  # what came twice has come
        for _ in range(3):
            assert len(await db.fetch(READ, 2)) == 2
        assert await db.fetchval(PID) != before
        assert mangler.changed == 1

    await in_each(database, [("unknown", b"D"), ("unknown", b"C"), ("negative", b"Z"), ("twice", b"Z")], case)


async def test_a_single_value_or_a_status_is_right_or_an_error(database: Database) -> None:
    async def case(db: DatabasePool, mangler: Mangler, arm: Callable[[], None]) -> None:
        arm()
        for ask, right in (db.fetchval(READ, 1), 1), (db.execute("select $1::int", 1), "SELECT 1"):
            with suppress(ConnectionLost, QueryTimeout):
                assert await ask == right
        mangler.change = bytes
        assert await db.execute("set application_name to 'x'") == "SET"

    await in_each(database, CASES, case)


async def test_a_changed_answer_to_commit_leaves_its_outcome_unknown_or_is_right(database: Database) -> None:
    async def case(db: DatabasePool, mangler: Mangler, arm: Callable[[], None]) -> None:
        number, ending = id(mangler), None
        try:
            async with db.transaction() as tx:
                await tx.execute("insert into t values ($1)", number)
                arm()
        except Exception as error:
            ending = error
        assert ending is None or isinstance(ending, CommitOutcomeUnknown), repr(ending)
        mangler.change = bytes
        assert await db.fetchval("select count(*) from t where a = $1", number) == 1

    await made(database)
    await in_each(database, [case for case in CASES if case[1] in b"CZ"], case)


async def test_a_changed_answer_in_a_transaction_fakes_no_commit(database: Database) -> None:
    async def case(db: DatabasePool, mangler: Mangler, arm: Callable[[], None]) -> None:
        number, is_told = id(mangler), False
        with suppress(ConnectionLost, QueryTimeout, CommitOutcomeUnknown):
            async with db.transaction() as tx:
                arm()
                await tx.execute("insert into t values ($1)", number)
            is_told = True
        mangler.change = bytes
        stored = await db.fetchval("select count(*) from t where a = $1", number)
        assert stored == 1 or not is_told

    await made(database)
    await in_each(database, CASES, case)


async def made(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create table t (a bigint)")
