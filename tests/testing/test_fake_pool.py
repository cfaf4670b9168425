"""What only a fake pool does: it answers as it is told, and tells what it was asked."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest

from dbpool import AcquireTimeout, DatabasePool, ServerUnavailable, UsageError
from dbpool.testing import Deadlock, FakePool, UnexpectedStatement, VirtualTime, run, virtual_time
from tests.support.pools import held

GREETING = "select name from users where id = $1"


async def greet(db: DatabasePool, user: int) -> str:
    return f"Hello, {await db.fetchval(GREETING, user)}"


async def test_a_statement_gets_the_answer_that_was_given_last(dbpool_fake: FakePool) -> None:
    first = dbpool_fake.on("select name\n  from users where id = $1", rows=[{"name": "Ada"}])
    assert await greet(dbpool_fake, 7) == "Hello, Ada"
    once = dbpool_fake.on(re.compile("from users"), value="Grace", times=1)
    assert [await greet(dbpool_fake, 8), await greet(dbpool_fake, 9)] == ["Hello, Grace", "Hello, Ada"]
    assert [asked.args for asked in dbpool_fake.asked] == [(7,), (8,), (9,)]
    assert ([each.args for each in first.asked], [each.args for each in once.asked]) == ([(7,), (9,)], [(8,)])


async def test_an_answer_may_be_a_function_a_status_or_an_error(dbpool_fake: FakePool) -> None:
    dbpool_fake.on(GREETING, does=lambda user: [{"name": f"number {user}"}] if user else asyncpg.DataError("none"))
    dbpool_fake.on("delete from users", status="DELETE 3")
    dbpool_fake.on("insert into users values ($1)", raises=asyncpg.UniqueViolationError("duplicate key"))
    assert await greet(dbpool_fake, 7) == "Hello, number 7"
    assert await dbpool_fake.execute("delete from users") == "DELETE 3"
    with pytest.raises(asyncpg.DataError, match="none"):
        await greet(dbpool_fake, 0)
    with pytest.raises(asyncpg.UniqueViolationError):
        await dbpool_fake.execute("insert into users values ($1)", 7)


async def test_what_was_not_scripted_fails_at_once_and_at_the_end() -> None:
    with pytest.raises(UnexpectedStatement) as failure, virtual_time():
        async with FakePool() as db:
            db.on(GREETING, value="Ada")
            await greet(db, 7)
            with pytest.raises(UnexpectedStatement):
                await db.execute("delete from users where id = $1", 7)
    text = str(failure.value)
    assert "no answer for: delete from users where id = $1 (7,)" in text
    assert f"it has answers for:\n  {GREETING}" in text
    assert f"it was asked before:\n  {GREETING} (7,)" in text


async def test_a_pool_that_is_not_strict_has_no_rows_for_the_rest() -> None:
    with virtual_time():
        async with FakePool(strict=False) as db:
            assert await db.fetch("select anything") == []


async def test_half_a_minute_in_line_takes_no_time(dbpool_fake: FakePool, virtual_time: VirtualTime) -> None:
    async with held(dbpool_fake), held(dbpool_fake), held(dbpool_fake), held(dbpool_fake), held(dbpool_fake):
        before = virtual_time.elapsed
        with pytest.raises(AcquireTimeout):
            await greet(dbpool_fake, 7)
        assert virtual_time.elapsed - before == pytest.approx(30, abs=0.1)


@pytest.mark.dbpool(max_connections=1)
async def test_answers_take_as_long_as_they_are_told(dbpool_fake: FakePool, virtual_time: VirtualTime) -> None:
    dbpool_fake.on(GREETING, value="Ada", after=5)
    before = virtual_time.elapsed
    await asyncio.gather(*(greet(dbpool_fake, number) for number in range(4)))
    assert virtual_time.elapsed - before == pytest.approx(20, abs=0.1)
    assert [asked.args for asked in dbpool_fake.asked] == [(0,), (1,), (2,), (3,)]


async def test_a_server_that_goes_down_comes_back(dbpool_fake: FakePool) -> None:
    dbpool_fake.on(GREETING, value="Ada")
    await greet(dbpool_fake, 1)
    dbpool_fake.go_down()
    with pytest.raises(ServerUnavailable):
        await greet(dbpool_fake, 2)
    dbpool_fake.come_back()
    await asyncio.sleep(2)
    assert await greet(dbpool_fake, 3) == "Hello, Ada"


async def test_what_needs_a_server_says_so(dbpool_fake: FakePool) -> None:
    for call in (
        lambda: dbpool_fake.map(GREETING, [1]),
        lambda: dbpool_fake.listen("orders"),
        lambda: dbpool_fake.on(GREETING, value=1, status="SELECT 1"),
        lambda: dbpool_fake.on(GREETING, rows=[(1,)]),  # type: ignore[list-item] # what is wrong with it
        lambda: dbpool_fake.on(GREETING, raises=asyncpg.UniqueViolationError),  # type: ignore[arg-type] # the same
        lambda: dbpool_fake.on(GREETING, raises="duplicate"),  # type: ignore[arg-type] # the same
    ):
        with pytest.raises(UsageError):
            call()
    with pytest.raises(UsageError):
        await dbpool_fake.load("users", [(1,)])
    async with dbpool_fake.acquire() as connection:
        with pytest.raises(UsageError, match="a fake connection has no copy_to_table"):
            await connection.copy_to_table("users", source=Path("users.csv"))


def test_nothing_that_can_run_is_a_deadlock() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="stuck"):
        run(stuck())


def test_virtual_time_does_not_pass_while_a_connection_is_open() -> None:
    async def main() -> None:
        async with await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0):
            with virtual_time():
                await asyncio.sleep(1)

    with pytest.raises(UsageError, match="while a connection is open"):
        asyncio.run(main())


async def test_time_is_real_again_behind_the_block() -> None:
    clock = asyncio.get_running_loop().time
    before = clock()
    with virtual_time() as time:
        await asyncio.sleep(1000)
        assert time.elapsed >= 1000
    assert clock() - before < 500
