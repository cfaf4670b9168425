"""create_pool: its arguments, its life and its sizes are those of asyncpg's pool."""

from __future__ import annotations

import asyncio
import inspect
import logging
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest

import dbpool
from tests.support.both import Create, both, opened, outcome, pids
from tests.support.databases import Database
from tests.support.pools import becomes, dsn_with, until, witness_of


def shape(function: Any) -> list[tuple[str, object, object]]:  # noqa: ANN401 - any function
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def test_it_takes_what_asyncpgs_takes() -> None:
    assert shape(dbpool.create_pool) == shape(asyncpg.create_pool)


PUBLIC = [name for name in vars(asyncpg.Pool) if not name.startswith("_")]


@pytest.mark.parametrize("name", [*PUBLIC, "__await__", "__aenter__", "__aexit__"])
def test_every_method_of_asyncpgs_pool_takes_the_same(name: str) -> None:
    theirs, ours = shape(getattr(asyncpg.Pool, name)), shape(getattr(dbpool.AsyncpgPool, name))
    assert ours[: len(theirs)] == theirs
    assert all(default is not inspect.Parameter.empty for _, _, default in ours[len(theirs) :])


@both
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_size": 0}, ValueError),
        ({"min_size": -1}, ValueError),
        ({"min_size": 3, "max_size": 2}, ValueError),
        ({"min_size": 0, "init_size": -1}, ValueError),
        ({"init_size": 11}, ValueError),
        ({"init_size": 9}, ValueError),
        ({"max_queries": 0}, ValueError),
        ({"max_inactive_connection_lifetime": -1}, ValueError),
        ({"connection_class": int}, TypeError),
        ({"connection_class": 3}, TypeError),
        ({"record_class": int}, TypeError),
        ({"max_size": "10"}, TypeError),
    ],
)
async def test_a_bad_argument_is_refused_before_any_connect(
    create: Create, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as raised:
        create("postgresql://nobody@127.0.0.1:1/none", **options)
    with pytest.raises(error) as as_asyncpg_says:
        asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/none", **options)
    assert str(raised.value) == str(as_asyncpg_says.value)


@both
@pytest.mark.parametrize(
    "options", [{"statement_cache_size": -1}, {"no_such_option": 1}, {"timeout": "soon"}, {"command_timeout": -1}]
)
async def test_a_bad_argument_for_connecting_is_told_when_it_connects(
    create: Create, database: Database, options: dict[str, Any]
) -> None:
    theirs = await outcome(asyncpg.create_pool(database.dsn, **options).__aenter__())
    assert theirs in (TypeError, ValueError)
    assert await outcome(create(database.dsn, **options).__aenter__()) is theirs


@both
async def test_nothing_can_be_done_before_it_is_initialized(create: Create, database: Database) -> None:
    pool = create(database.dsn, min_size=1)
    for use in (pool.fetch("select 1"), pool.acquire(), pool.close(), pool.execute("select 1"), pool.fetchmany("", [])):
        with pytest.raises(asyncpg.InterfaceError, match=r"^pool is not initialized$"):
            await use
    with pytest.raises(asyncpg.InterfaceError, match=r"^pool is not initialized$"):
        pool.terminate()
    assert (pool.get_size(), pool.get_idle_size(), pool.is_closing()) == (0, 0, False)


@both
async def test_nothing_can_be_done_while_it_is_being_initialized(create: Create, database: Database) -> None:
    async def use(_: object) -> None:
        for attempt in (pool.fetch("select 1"), pool.acquire(), pool.close()):
            with pytest.raises(asyncpg.InterfaceError, match="race between creating a pool and"):
                await attempt
        with pytest.raises(asyncpg.InterfaceError, match=r"^pool is being initialized in another task$"):
            await pool
        seen.append(pool.get_size())

    seen: list[int] = []
    pool = create(database.dsn, min_size=1, init=use)
    async with pool:
        assert seen == [0]
        assert await pool is pool


@both
async def test_nothing_can_be_done_once_it_is_closed(create: Create, database: Database) -> None:
    pool = await create(database.dsn, min_size=1)
    kept = await pool.acquire()
    await pool.release(kept)
    await pool.close()
    for use in (pool.fetch("select 1"), pool.acquire(), pool.executemany("select 1", [])):
        with pytest.raises(asyncpg.InterfaceError, match=r"^pool is closed$"):
            await use
    assert pool.is_closing()
    await pool.close()
    pool.terminate()
    assert await pool is pool
    await pool.release(kept)
    with pytest.raises(asyncpg.InterfaceError, match="is not a member of this pool"):
        await pool.release(object())


@both
async def test_its_sizes_are_those_that_were_asked_for(create: Create, database: Database) -> None:
    async with create(database.dsn, min_size=1, init_size=2, max_size=3) as pool:
        assert (pool.get_min_size(), pool.get_init_size(), pool.get_max_size()) == (1, 2, 3)
        assert (pool.get_size(), pool.get_idle_size()) == (2, 2)
        async with pool.acquire(), pool.acquire():
            assert (pool.get_size(), pool.get_idle_size()) == (2, 0)
            async with pool.acquire():
                assert (pool.get_size(), pool.get_idle_size()) == (3, 0)
        assert (pool.get_size(), pool.get_idle_size()) == (3, 3)


@both
async def test_the_server_refusing_is_told_as_asyncpg_tells_it(create: Create, database: Database) -> None:
    nobody = dsn_with(database.dsn, user="no_such_role")
    with pytest.raises(asyncpg.PostgresError) as theirs:
        await asyncpg.connect(nobody)
    pool = create(nobody, min_size=1)
    with pytest.raises(type(theirs.value)):
        await pool
    with pytest.raises(asyncpg.InterfaceError, match=r"^pool is closed$"):
        await pool.fetch("select 1")
    async with create(nobody, min_size=0) as pool:
        for _ in range(3):
            with pytest.raises(type(theirs.value)):
                await pool.fetch("select 1")
            with pytest.raises(type(theirs.value)):
                await pool.acquire()


@both
async def test_a_server_that_is_not_there_is_told_at_once_each_time(create: Create) -> None:
    async with create("postgresql://nobody@127.0.0.1:1/none", min_size=0) as pool:
        assert [await outcome(pool.fetch("select 1")) for _ in range(3)] == [ConnectionRefusedError] * 3
        assert await outcome(pool.acquire()) is ConnectionRefusedError


@both
async def test_a_failed_initialization_leaves_no_connection(create: Create, database: Database) -> None:
    async def refuse(connection: Any) -> None:  # noqa: ANN401
        seen.append(connection)
        if len(seen) == 3:
            raise ValueError("not this one")

    seen: list[Any] = []
    with pytest.raises(ValueError, match="not this one"):
        await create(database.dsn, min_size=3, max_size=3, init=refuse)
    await becomes(lambda: all(connection.is_closed() for connection in seen))


@both
async def test_close_waits_for_who_holds_a_connection(create: Create, database: Database) -> None:
    pool = await create(database.dsn, min_size=2, max_size=2)
    held = await pool.acquire()
    closing = asyncio.create_task(pool.close())
    await becomes(pool.is_closing)
    with pytest.raises(asyncpg.InterfaceError, match=r"^pool is closing$"):
        await pool.acquire()
    with pytest.raises(asyncpg.InterfaceError, match=r"^pool is closing$"):
        await pool.fetch("select 1")
    assert await held.fetchval("select 1") == 1
    assert not closing.done()
    await pool.release(held)
    await closing
    assert (pool.get_size(), pool.get_idle_size()) == (0, 0)


@both
async def test_a_close_that_is_cancelled_terminates(create: Create, database: Database) -> None:
    pool = await create(database.dsn, min_size=1, max_size=1)
    held = await pool.acquire()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await pool.close()
    with pytest.raises(asyncpg.InterfaceError, match="released back to the pool"):
        await held.fetchval("select 1")
    assert pool.is_closing()
    assert pool.get_size() == 0
    await pool.release(held)


@both
async def test_terminate_cuts_off_who_holds_and_who_runs(create: Create, database: Database) -> None:
    pool = await create(database.dsn, min_size=3, max_size=3)
    held = await pool.acquire()
    sleeping = [asyncio.create_task(outcome(pool.fetch("select pg_sleep(30)"))) for _ in range(2)]
    async with witness_of(database) as witness:
        await until(lambda: _sleepers(witness, 2))
        pool.terminate()
        assert await asyncio.gather(*sleeping) == [asyncpg.ConnectionDoesNotExistError] * 2
        with pytest.raises(asyncpg.InterfaceError, match="released back to the pool"):
            await held.fetchval("select 1")
        assert pool.get_size() == 0
        await witness.terminate(*await witness.pids())  # they have not noticed


async def _sleepers(witness: Any, count: int) -> bool:  # noqa: ANN401
    return sum("pg_sleep" in row["query"] for row in await witness.backends()) == count


@both
async def test_who_stands_in_line_when_it_terminates_is_told(create: Create, database: Database) -> None:
    pool = await create(database.dsn, min_size=1, max_size=1)
    await pool.acquire()
    waiting = [asyncio.create_task(outcome(pool.acquire())), asyncio.create_task(outcome(pool.fetch("select 1")))]
    await asyncio.sleep(0)
    pool.terminate()
    assert await asyncio.gather(*waiting) == [asyncpg.InterfaceError] * 2


async def test_who_stands_in_line_when_close_begins_is_refused_at_once(database: Database) -> None:
    async with dbpool.create_pool(database.dsn, min_size=1, max_size=1) as pool:
        async with pool.acquire():
            waiting = asyncio.create_task(outcome(pool.acquire()))
            await asyncio.sleep(0)
            closing = asyncio.create_task(pool.close())
            await becomes(pool.is_closing)
            assert await waiting is asyncpg.InterfaceError
            assert not closing.done()
        await closing


@both
async def test_expired_connections_are_replaced_before_their_next_use(create: Create, database: Database) -> None:
    async with opened(create, database, 2) as pool:
        before = await pids(pool, 2)
        await pool.expire_connections()
        assert pool.get_size() == 2
        assert not set(before) & set(await pids(pool, 2))
        held = await pool.acquire()
        pid = held.get_server_pid()
        await pool.expire_connections()
        assert await held.fetchval("select 1") == 1
        await pool.release(held)
        assert pid not in await pids(pool, 2)
        one_shot = await pool.fetchval("select pg_backend_pid()")
        await pool.expire_connections()
        assert await pool.fetchval("select pg_backend_pid()") != one_shot


@both
async def test_a_connection_that_was_being_opened_when_all_were_expired_is_used_once(
    create: Create, database: Database
) -> None:
    async def init(connection: Any) -> None:  # noqa: ANN401
        seen.append(connection.get_server_pid())
        if len(seen) == 1:
            await pool.expire_connections()

    seen: list[int] = []
    async with opened(create, database, init=init) as pool:
        for _ in range(3):
            await pool.fetchval("select 1")
        assert len(seen) == 2


@both
async def test_a_connection_that_expires_on_its_way_to_who_waits_is_replaced(
    create: Create, database: Database
) -> None:
    def expire() -> None:
        with suppress(StopIteration):
            pool.expire_connections().send(None)

    async def reset(_: object) -> None:
        if not expired:
            expired.append(asyncio.get_running_loop().call_soon(expire))  # before who waits wakes up

    expired: list[object] = []
    async with opened(create, database, reset=reset) as pool:
        held = await pool.acquire()
        pid = held.get_server_pid()
        waiting = asyncio.ensure_future(pool.acquire())
        await asyncio.sleep(0)
        await pool.release(held)
        held = await waiting
        assert held.get_server_pid() != pid
        await pool.release(held)


@both
async def test_new_arguments_count_for_new_connections(create: Create, database: Database) -> None:
    name = "select current_setting('application_name')"
    async with opened(create, database, server_settings={"application_name": "one"}) as pool:
        assert await pool.fetchval(name) == "one"
        pool.set_connect_args(database.dsn, server_settings={"application_name": "two"})
        assert await pool.fetchval(name) == "one"
        await pool.expire_connections()
        assert await pool.fetchval(name) == "two"


@both
async def test_a_connection_is_replaced_after_max_queries(create: Create, database: Database) -> None:
    async with opened(create, database, max_queries=1) as pool:
        seen = [await pool.fetchval("select pg_backend_pid()") for _ in range(3)]
        seen += [(await pids(pool, 1))[0] for _ in range(2)]
        assert len(set(seen)) >= 4


@both
async def test_connections_above_the_floor_close_when_nobody_uses_them(create: Create, database: Database) -> None:
    async with opened(create, database, 3, min_size=1, max_inactive_connection_lifetime=0.2) as pool:
        before = await pids(pool, 3)
        assert pool.get_size() == 3
        await becomes(lambda: pool.get_size() == 1)
        await asyncio.sleep(0.3)
        assert pool.get_size() == 1
        assert (await pids(pool, 1))[0] in before


@both
async def test_without_a_lifetime_they_stay(create: Create, database: Database) -> None:
    async with opened(create, database, 3, max_inactive_connection_lifetime=0) as pool:
        await pids(pool, 3)
        await asyncio.sleep(0.2)
        assert pool.get_size() == 3


@both
async def test_the_floor_is_restored_when_the_server_ends_connections(create: Create, database: Database) -> None:
    async with opened(create, database, 2, min_size=2) as pool, witness_of(database) as witness:
        before = await pids(pool, 2)
        await witness.terminate(*before)

        async def there_are_two_others() -> bool:
            return len(await witness.pids() - set(before)) == 2

        await until(there_are_two_others)
        await becomes(lambda: pool.get_size() == 2)
        assert not set(before) & set(await pids(pool, 2))


@both
async def test_a_floor_that_cannot_be_restored_is_tried_again_and_logged(
    create: Create, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def connect(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        attempts.append(1)
        if len(attempts) == 2:
            raise OSError("on purpose")
        return await asyncpg.connect(*args, **options)

    attempts: list[int] = []
    with caplog.at_level(logging.WARNING, logger="asyncpg.pool"):
        async with opened(create, database, min_size=1, connect=connect) as pool, witness_of(database) as witness:
            await witness.terminate(*await pids(pool, 1))
            await becomes(lambda: len(attempts) == 3 and pool.get_size() == 1)
    assert "Failed to restore the pool connection floor; retrying" in caplog.text


@both
async def test_an_address_may_be_given_in_parts(create: Create, database: Database) -> None:
    url = urlsplit(database.dsn)
    options = {"host": url.hostname, "port": url.port, "user": url.username, "database": database.name}
    options["password"] = unquote(url.password or "")
    async with create(**options, min_size=1) as pool:
        assert await pool.fetchval("select current_database()") == database.name


@both
async def test_it_takes_the_loop_it_is_to_run_in(create: Create, database: Database) -> None:
    async with create(database.dsn, min_size=1, loop=asyncio.get_running_loop()) as pool:
        assert await pool.fetchval("select 1") == 1
