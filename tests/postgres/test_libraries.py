"""Libraries that were written for an asyncpg pool: one runs here, of others what they do with a pool."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosql
import asyncpg
import pytest

from tests.support.both import Create, both, opened, outcome
from tests.support.databases import Database
from tests.support.pools import becomes

SQL = """
-- name: create_schema#
create table users (id int generated always as identity primary key, name text unique not null, age int);
create table log (line text);

-- name: add<!
insert into users (name, age) values (:name, :age) returning id;

-- name: add_all*!
insert into users (name, age) values (:name, :age);

-- name: grow_older(years)!
update users set age = age + :years;

-- name: everybody()
-- record_class: User
select name, age from users order by id;

-- name: older_than(age)
select name from users where age > :age order by name;

-- name: one_named(name)^
select name, age from users where name = :name;

-- name: how_many()$
select count(*) from users;
"""


@dataclass
class User:
    """What aiosql makes of a row."""

    name: str
    age: int


@pytest.fixture(name="queries")
def _queries() -> Any:  # noqa: ANN401 - made from the text above
    return aiosql.from_str(SQL, "asyncpg", record_classes={"User": User})


async def use_every_operator(queries: Any, client: Any) -> list[Any]:  # noqa: ANN401
    """What aiosql answers, with *client* a pool or a connection."""
    answers: list[Any] = [await queries.create_schema(client)]
    answers.append(await queries.add(client, name="Ada", age=36))
    answers.append(await queries.add_all(client, [{"name": "Bea", "age": 20}, {"name": "Cyd", "age": 40}]))
    answers.append(await queries.grow_older(client, years=1))
    answers.append([user async for user in queries.everybody(client)])
    answers.append([tuple(row) async for row in queries.older_than(client, age=30)])
    answers.append(tuple(await queries.one_named(client, name="Bea")))
    answers.append(await queries.one_named(client, name="nobody"))
    answers.append(await queries.how_many(client))
    async with queries.older_than_cursor(client, age=30) as cursor:
        answers.append([tuple(row) async for row in cursor])
    answers.append(await outcome(queries.add(client, name="Ada", age=1)))
    return answers


EXPECTED = [
    "CREATE TABLE",
    1,
    None,
    "UPDATE 3",
    [User("Ada", 37), User("Bea", 21), User("Cyd", 41)],
    [("Ada",), ("Cyd",)],
    ("Bea", 21),
    None,
    3,
    [("Ada",), ("Cyd",)],
    asyncpg.UniqueViolationError,
]


@both
async def test_aiosql_answers_the_same(create: Create, database: Database, queries: Any) -> None:  # noqa: ANN401
    async with opened(create, database, 2) as pool:
        assert await use_every_operator(queries, pool) == EXPECTED
        assert pool.get_idle_size() == pool.get_size()


@both
async def test_aiosql_takes_a_connection_of_the_pool(create: Create, database: Database, queries: Any) -> None:  # noqa: ANN401
    async with opened(create, database) as pool, pool.acquire() as connection:
        assert await use_every_operator(queries, connection) == EXPECTED
    async with opened(create, database) as pool:
        assert await queries.how_many(pool) == 3


@both
async def test_aiosql_can_be_left_half_way(create: Create, database: Database, queries: Any) -> None:  # noqa: ANN401
    async with opened(create, database) as pool:
        await queries.create_schema(pool)
        await queries.add_all(pool, [{"name": str(n), "age": n} for n in range(50)])
        async for _ in queries.everybody(pool):
            break
        gc.collect()
        assert await outcome(queries.how_many(pool)) == 50
        async with aclosing(queries.older_than(pool, age=10)) as rows:
            async for _ in rows:
                break
        async with queries.older_than_cursor(pool, age=10) as cursor:
            async for _ in cursor:
                break
        assert await outcome(queries.how_many(pool)) == 50


@both
async def test_many_callers_of_aiosql_at_once(create: Create, database: Database, queries: Any) -> None:  # noqa: ANN401
    async with opened(create, database, 3) as pool:
        await queries.create_schema(pool)
        ids = await asyncio.gather(*(queries.add(pool, name=str(n), age=n) for n in range(100)))
        assert sorted(ids) == list(range(1, 101))
        assert pool.get_size() <= 3


@dataclass(frozen=True)
class Relay:
    """A listener that is removed by equality, as pgqueuer does."""

    heard: Any

    def __call__(self, connection: object, pid: int, channel: str, payload: object) -> None:
        self.heard(payload)


@both
async def test_what_pgqueuer_does(create: Create, database: Database) -> None:
    """It keeps one connection for its listeners, and runs everything else on the pool."""
    heard: list[object] = []
    async with opened(create, database, 2) as pool:
        assert pool.get_max_size() >= 2
        listening = await pool.acquire()
        await listening.add_listener("ch", Relay(heard.append))
        await pool.execute("SELECT pg_notify($1, $2)", "ch", "one")
        await becomes(lambda: heard == ["one"])
        await listening.remove_listener("ch", Relay(heard.append))
        await pool.execute("SELECT pg_notify($1, $2)", "ch", "two")
        assert [dict(row) for row in await pool.fetch("select $1::int as n", 1)] == [{"n": 1}]
        await listening.reset()
        await pool.release(listening)
        assert heard == ["one"]


@both
async def test_what_databases_does(create: Create, database: Database) -> None:
    """It takes the address in parts, transactions in steps, and rows from a cursor or one by one."""
    url = urlsplit(database.dsn)
    parts = {"host": url.hostname, "port": url.port, "user": url.username, "password": unquote(url.password or "")}
    pool = await create(database=database.name, min_size=1, max_size=2, **parts)
    connection = await pool.acquire()
    await connection.execute("create table t (n int)")
    transaction = connection.transaction(isolation="serializable")
    await transaction.start()
    await connection.fetchval("insert into t values ($1) returning n", 1)
    inner = connection.transaction()
    await inner.start()
    await connection.execute("insert into t values ($1)", 2)
    await inner.rollback()
    assert [row["n"] async for row in connection.cursor("select n from t")] == [1]
    await transaction.commit()
    assert await pool.release(connection) is None
    assert await pool.fetchval("select count(*) from t") == 1
    await pool.close()


@both
async def test_what_tortoise_does(create: Create, database: Database) -> None:
    """It gives the loop and a class, runs its scripts on held connections, expires them, and closes with a limit."""
    pool = await create(
        database.dsn,
        min_size=1,
        max_size=2,
        connection_class=asyncpg.Connection,
        loop=None,
        server_settings={"search_path": "public"},
    )
    connection = await pool.acquire()
    await connection.execute("create table t (n int); comment on table t is 'made'")
    await connection.executemany("insert into t values ($1)", [(1,), (2,)])
    assert await connection.fetchrow("select 1 where false") is None
    await pool.expire_connections()
    await pool.release(connection)
    held = await pool.acquire()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pool.close(), 0.1)
    pool.terminate()
    await pool.release(held)
    assert pool.is_closing()


@both
async def test_what_buildpg_and_pgvector_do(create: Create, database: Database) -> None:
    """The one gives a class with methods of its own, the other sets codecs in ``init`` or ``setup``."""

    class Building(asyncpg.Connection):
        async def fetchval_b(self, template: str, **values: Any) -> Any:  # noqa: ANN401
            return await self.fetchval(template.format(*(f"${n}" for n in range(1, len(values) + 1))), *values.values())

    async def register(connection: Any) -> None:  # noqa: ANN401
        await connection.set_type_codec(
            "point", schema="pg_catalog", encoder=str, decoder=lambda text: text.strip("()"), format="text"
        )

    for moment in ("init", "setup"):
        async with opened(create, database, connection_class=Building, **{moment: register}) as pool:
            async with pool.acquire() as connection:
                assert await connection.fetchval_b("select {}::int", n=7) == 7
                assert await connection.fetchval("select point '(1,2)'") == "1,2"
            assert await pool.fetchval("select point '(1,2)'") == "1,2"


@both
async def test_what_gino_does(create: Create, database: Database) -> None:
    """It counts a pool's connections by what is inside."""
    async with opened(create, database, 3, min_size=2) as pool:
        connection = await pool.acquire(timeout=5)
        holders = pool._holders  # noqa: SLF001
        assert (pool._maxsize, pool._minsize) == (3, 2)  # noqa: SLF001
        assert sum(bool(one._con and not one._con.is_closed()) for one in holders) == 2  # noqa: SLF001
        assert sum(bool(one._in_use) for one in holders) == 1  # noqa: SLF001
        await pool.release(connection)
        async with pool.acquire() as connection:
            await connection.reload_schema_state()
