"""Bulk writes that end early: what is stored, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import asyncpg
import pytest

from dbpool import (
    CommitOutcomeUnknown,
    ConnectionLost,
    DatabasePool,
    LoadFailed,
    Outcome,
    QueryTimeout,
    SettingsError,
    StatementError,
    WriteFailed,
    WriteOutcomeUnknown,
    Written,
)
from tests.support.databases import Database
from tests.support.pools import pool_of, settled, witness_of
from tests.support.proxy import Do, Message, Proxy, Rule, Way, proxy_before

TABLE = "create table t (id int primary key, name text)"
# An INSERT of the row 5 waits for an advisory lock that a witness may hold.
HELD = """
create function hold() returns trigger language plpgsql as
    $$ begin if new.id = 5 then perform pg_advisory_xact_lock(1); end if; return new; end $$;
create trigger held before insert on t for each row execute function hold();
"""


async def ids(db: DatabasePool) -> list[int]:
    return [row["id"] for row in await db.fetch("select id from t order by id")]


def says(error: WriteFailed | WriteOutcomeUnknown) -> tuple[int, int, int]:
    return error.rows_stored, error.first_row, error.last_row


async def temporary_tables(db: DatabasePool) -> int:
    return int(await db.fetchval("select count(*) from pg_class where relname like 'dbpool%'"))


async def test_a_transaction_that_fails_is_named_and_those_before_it_are_stored(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        rows = [(number % 13, "x") for number in range(20)]
        for repeat in range(2):
            with pytest.raises(WriteFailed, match=r"rows 10 to 14 .*first 10 rows are stored, none after") as caught:
                await db.insert("t", rows, rows_per_transaction=5)
            assert isinstance(caught.value.__cause__, asyncpg.UniqueViolationError)
            assert says(caught.value) == (10, 10, 14)
            assert await ids(db) == list(range(10))
            await db.execute("truncate t" if repeat == 0 else "select 1")


async def test_all_in_one_transaction_is_all_or_nothing(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        with pytest.raises(WriteFailed, match="Nothing is stored") as caught:
            await db.insert("t", [(number % 13, "x") for number in range(20)], rows_per_transaction=None)
        assert says(caught.value) == (0, 0, 19)
        assert await ids(db) == []


MISFITS: list[tuple[object, str]] = [
    ((1,), "it has 1 values for 2 columns"),
    ((1, "x", 3), "it has 3 values for 2 columns"),
    ({"id": 1}, "it has no value for 'name'"),
    ("ab", "of str: give tuples"),
    (None, "of NoneType: give tuples"),
]


@pytest.mark.parametrize(("row", "why"), MISFITS)
async def test_a_row_that_does_not_fit_is_named(database: Database, row: object, why: str) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        rows = [*((number, "x") for number in range(9)), row]
        with pytest.raises(WriteFailed, match=rf"row 9 .*{why}.* first 8 rows are stored") as caught:
            await db.insert("t", rows, columns=["id", "name"], rows_per_transaction=4)
        assert says(caught.value) == (8, 9, 9)
        assert await ids(db) == list(range(8))


async def test_a_row_that_would_lose_a_value_does_not_fit(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        for other in {"id": 2, "name": "x"}, {"name": "x"}:
            with pytest.raises(WriteFailed, match=r"row 1 .*'name', which the first row does not have"):
                await db.insert("t", [{"id": 1}, other])
        assert await ids(db) == []


@pytest.mark.parametrize("way", ["insert", "upsert"])
async def test_a_value_that_cannot_be_sent_is_named_by_its_row(database: Database, way: str) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        rows: list[tuple[object, str]] = [(number, "x") for number in range(3000)]
        rows[2500] = ("many", "x")
        options = {"rows_per_transaction": 1000} | ({} if way == "insert" else {"key": "id"})
        with pytest.raises(WriteFailed, match=r"row 2500 .* cannot be sent: TypeError.*first 2,000 rows") as caught:
            await getattr(db, way)("t", rows, **options)
        assert says(caught.value) == (2000, 2500, 2500)
        assert isinstance(caught.value.__cause__, TypeError)
        assert len(await ids(db)) == 2000


async def test_a_key_of_null_is_refused(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int, a int unique, name text)")
        for write in db.upsert, db.update_from:
            with pytest.raises(WriteFailed, match=r"row 1 .*key column 'a': NULL"):
                await write("t", [(1, 1, "x"), (2, None, "x")], key="a")
            with pytest.raises(WriteFailed, match=r"row 0 .*key column 'a': NULL"):
                await write("t", [{"a": None, "id": 1}], key="a")
        assert await ids(db) == []


@pytest.mark.parametrize("way", ["upsert", "update_from"])
async def test_a_key_that_comes_again_is_refused_when_asked(database: Database, way: str) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        rows = [(number % 7, "x") for number in range(9)]
        with pytest.raises(WriteFailed, match="rows 0 and 7 have the same key") as caught:
            await getattr(db, way)("t", rows, key="id", on_repeat="raise")
        assert says(caught.value) == (0, 0, 7)
        await getattr(db, way)("t", rows[:7], key="id", on_repeat="raise")


async def test_what_the_rows_raise_comes_out_as_it_is(database: Database) -> None:
    failure = ValueError("x" * 20_000)

    def here() -> Iterator[tuple[int, str]]:
        yield from ((number, "x") for number in range(25))
        raise failure

    async def away() -> AsyncIterator[tuple[int, str]]:
        for row in here():
            yield row

    async with pool_of(database) as db:
        await db.execute(TABLE)
        for rows in here, away:
            await db.execute("truncate t")
            with pytest.raises(ValueError, match="xxx") as caught:
                await db.upsert("t", rows(), key="id", rows_per_transaction=10)
            assert caught.value is failure
            assert "The first 20 rows are stored, none after them" in failure.__notes__
            assert await ids(db) == list(range(20))
        assert db.stats().discarded_total == 0


async def test_no_connection_is_held_while_rows_are_waited_for(database: Database) -> None:
    asked, may_go = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[tuple[int, str]]:
        yield 1, "x"
        asked.set()
        await may_go.wait()
        yield 2, "x"

    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        writing = asyncio.create_task(db.insert("t", slow()))
        await asked.wait()
        assert db.stats().held == 0
        may_go.set()
        assert (await writing).rows == 2


async def test_one_that_is_cancelled_while_it_waits_for_rows_stores_nothing_more(database: Database) -> None:
    asked = asyncio.Event()

    async def slow() -> AsyncIterator[tuple[int, str]]:
        for number in range(25):
            yield number, "x"
        asked.set()
        await asyncio.Event().wait()

    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        writing = asyncio.create_task(db.insert("t", slow(), rows_per_transaction=10))
        await asked.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await writing
        assert "The first 20 rows are stored" in caught.value.__notes__
        assert await ids(db) == list(range(20))


WRITES: dict[str, Callable[[DatabasePool, list[tuple[int, str]]], Awaitable[Written]]] = {
    "insert": lambda db, rows: db.insert("t", rows, rows_per_transaction=4),
    "returning": lambda db, rows: db.insert("t", rows, rows_per_transaction=4, returning="id"),
    "nothing": lambda db, rows: db.insert("t", rows, rows_per_transaction=4, on_conflict="nothing"),
    "upsert": lambda db, rows: db.upsert("t", rows, rows_per_transaction=4, key="id"),
}


@pytest.mark.parametrize("way", WRITES)
async def test_one_that_is_cancelled_at_the_server_leaves_nothing_of_its_transaction(
    database: Database, way: str
) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        await db.execute(TABLE)
        await db.execute(HELD)
        async with witness.holding():
            writing = asyncio.ensure_future(WRITES[way](db, [(number, "x") for number in range(12)]))
            await witness.until_blocked()
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            await settled(db)
            assert await temporary_tables(db) == 0
            assert await ids(db) == list(range(4))
        assert (await db.upsert("t", [(4, "y"), (5, "y")], key="id")).rows == 2


async def test_a_transaction_that_takes_too_long_fails_and_leaves_nothing(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        await db.execute(TABLE)
        await db.execute(HELD)
        async with witness.holding():
            with pytest.raises(WriteFailed) as caught:
                await db.upsert("t", [(n, "x") for n in range(12)], key="id", rows_per_transaction=4, timeout=0.2)
        assert says(caught.value) == (4, 4, 7)
        assert isinstance(caught.value.__cause__, (QueryTimeout, TimeoutError))
        await settled(db)
        assert await ids(db) == list(range(4))


async def test_a_connection_lost_before_commit_fails_the_transaction(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        await db.execute(TABLE)
        await db.execute(HELD)
        async with witness.holding():
            writing = asyncio.create_task(
                db.upsert("t", [(n, "x") for n in range(12)], key="id", rows_per_transaction=4)
            )
            await witness.terminate(*await witness.until_blocked())
            with pytest.raises(WriteFailed) as caught:
                await writing
        assert isinstance(caught.value.__cause__, ConnectionLost)
        assert says(caught.value) == (4, 4, 7)
        assert await ids(db) == list(range(4))


def lost_at(commit: int, *, is_stored: bool) -> Rule:
    """The connection breaks at the COMMIT of that number, counted from 1: before it, or before its answer."""
    seen: list[int] = []
    committing: set[int] = set()

    def rule(message: Message) -> Do:
        if message.says("Q") and message.body == b"COMMIT\0":
            seen.append(1)
            if len(seen) == commit:
                committing.add(message.session.number)
                return Do.PASS if is_stored else Do.RESET
        elif message.way is Way.TO_CLIENT and message.session.number in committing:
            return Do.RESET
        return Do.PASS

    return rule


async def lose(db: DatabasePool, proxy: Proxy, rule: Rule) -> WriteOutcomeUnknown:
    proxy.rule = rule
    with pytest.raises(CommitOutcomeUnknown) as caught:
        await db.upsert("t", [(n, "x") for n in range(12)], key="id", rows_per_transaction=4)
    proxy.rule = lambda _: Do.PASS
    assert isinstance(caught.value, WriteOutcomeUnknown)
    return caught.value


@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_commit_without_an_answer_says_what_is_stored_for_sure(database: Database, is_stored: bool) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        await db.execute(TABLE)
        error = await lose(db, proxy, lost_at(2, is_stored=is_stored))
        assert says(error) == (4, 4, 7)
        assert "rows 4 to 7" in str(error)
        assert "The 4 rows before are stored for sure" in str(error)
        assert await db.outcome(error) is (Outcome.COMMITTED if is_stored else Outcome.ABORTED)
        assert await ids(db) == list(range(8 if is_stored else 4))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"rows_per_transaction": 0}, SettingsError),
        ({"rows_per_transaction": True}, SettingsError),
        ({"timeout": 0}, SettingsError),
        ({"columns": []}, StatementError),
        ({"columns": [1]}, StatementError),
        ({"on_conflict": "update"}, StatementError),
        ({"returning": []}, StatementError),
    ],
)
async def test_what_can_never_work_is_refused_before_anything_is_read(
    database: Database, options: dict[str, object], error: type[Exception]
) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        rows = iter([(1, "x")])
        with pytest.raises(error):
            await db.insert("t", rows, **options)  # type: ignore[arg-type]
        assert next(rows) == (1, "x")


@pytest.mark.parametrize("rows", ["ab", b"ab", {"id": 1}, 7, None])
async def test_what_is_no_iterable_of_rows_is_refused(database: Database, rows: object) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        with pytest.raises(StatementError, match="rows must be an iterable"):
            await db.insert("t", rows)  # type: ignore[arg-type]


async def test_what_progress_raises_comes_out_and_what_is_stored_stays(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        with pytest.raises(ZeroDivisionError):
            await db.insert("t", [(1, "x")], progress=lambda _: 1 / 0)
        assert await ids(db) == [1]


async def test_a_connection_that_is_lost_before_the_first_transaction_says_that_nothing_is_stored(
    database: Database,
) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        await db.execute("create table t (id int)")
        proxy.rule = lambda message: Do.RESET if message.says("P", b"attgenerated") else Do.PASS
        with pytest.raises(WriteFailed, match="Nothing is stored") as caught:
            await db.insert("t", [(1,)])
        assert (caught.value.rows_stored, type(caught.value.__cause__)) == (0, ConnectionLost)
        with pytest.raises(LoadFailed, match="could not begin: ConnectionLost") as failed:
            await db.load("t", [(1,)])
        assert (failed.value.rows_stored, failed.value.stored) == (0, ())
        proxy.rule = lambda _: Do.PASS
        assert (await db.insert("t", [(1,)])).rows == 1
