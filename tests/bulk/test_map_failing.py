"""What fails of map, and what of it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import asyncpg
import pytest

from dbpool import ConnectionLost, DatabasePool, QueryTimeout
from tests.bulk.test_map import people
from tests.support.databases import Database
from tests.support.pools import Witness, pool_of, settled, until, witness_of

T = TypeVar("T")

NAP = "create function nap(float) returns text language plpgsql stable as 'begin perform pg_sleep($1); return $1; end'"


@pytest.mark.parametrize("form", ["lateral", "many"])
async def test_an_item_that_the_server_cancels_costs_only_itself(database: Database, form: str) -> None:
    async with pool_of(database, 2, server_settings={"statement_timeout": "100ms"}) as db:
        await db.execute(NAP)
        items = [9 if n == 50 else 0 for n in range(300)]
        seen = [item async for item in db.map_val("select nap($1)", items, on_error="collect", form=form)]
        assert [type(item.error) for item in seen if item.error is not None] == [asyncpg.QueryCanceledError]
        assert seen[50].error is not None
        assert seen[50].error.__notes__ == ["item 51"]


async def test_a_write_that_the_server_cancels_costs_only_itself(database: Database) -> None:
    async with pool_of(database, 2, server_settings={"statement_timeout": "100ms"}) as db:
        await db.execute(NAP + "; create table t (id int, slept text)")
        items = [(n, 9 if n == 50 else 0) for n in range(300)]
        seen = [item async for item in db.map("insert into t select $1, nap($2)", items, on_error="collect")]
        assert [item.key[0] for item in seen if item.error is not None] == [50]
        stored = [row["id"] for row in await db.fetch("select id from t order by id")]
        assert stored == [n for n in range(300) if n != 50]


async def test_a_row_that_goes_into_no_type_costs_only_its_item(database: Database) -> None:
    def checked(id: int, name: str) -> str:  # noqa: A002 - the column's name
        if id == 30:
            raise ValueError("no 30")
        return name

    async with pool_of(database, 2) as db:
        await people(db)
        sql = "select id, name from people where id = $1"
        for take in (db.map, db.map_row):
            seen = [item async for item in take(sql, range(1, 50), into=checked, on_error="collect")]
            assert [item.key for item in seen if item.error is not None] == [30]
            assert isinstance(seen[29].error, ValueError)
            assert seen[29].error.__notes__ == ["item 30"]
            with pytest.raises(ValueError, match="no 30") as raised:
                _ = [item async for item in take(sql, range(1, 50), into=checked)]
            assert raised.value.__notes__ == ["item 30"]


# While it is found out how to send it

PLANNED = "select id from people where id = $1 or id is null"
HELD = "lock table people in access exclusive mode"


async def test_looking_for_the_form_ends_in_time(database: Database) -> None:
    async with pool_of(database, 2, query_timeout=0.2) as db, pool_of(database, 1) as other:
        await people(db)
        async with other.transaction() as held:
            await held.execute(HELD)
            for ask in (
                db.explain_map(PLANNED, [1]),
                db.taking_text(PLANNED),
                db.fetch_all(PLANNED, range(10)),
                db.fetch_all(PLANNED, range(10), timeout=0.1),
            ):
                with pytest.raises(QueryTimeout):
                    await ask
        await settled(db)
        assert await db.fetch_all(PLANNED, range(1, 10)) == [[(n,)] for n in range(1, 10)]


async def lose(asking: Awaitable[T], db: DatabasePool, other: DatabasePool, witness: Witness) -> T:
    """What *asking* gives when its session ends while it waits for a lock."""
    pid = await db.fetchval("select pg_backend_pid()")
    async with other.transaction() as held:
        await held.execute(HELD)
        task = asyncio.ensure_future(asking)

        async def waits() -> bool:
            return any(row["pid"] == pid and row["wait_event"] == "relation" for row in await witness.backends())

        await until(waits)
        await witness.terminate(pid)
    return await task


async def test_a_connection_may_be_lost_while_looking_for_the_form(database: Database) -> None:
    async with pool_of(database, 1) as db, pool_of(database, 1) as other, witness_of(database) as witness:
        await people(db)
        for ask in (db.explain_map(PLANNED, [1]), db.taking_text(PLANNED), db.fetch_all(PLANNED, range(9), retry=1)):
            with pytest.raises(ConnectionLost):
                await lose(ask, db, other, witness)
        assert await lose(db.fetch_all(PLANNED, range(1, 10)), db, other, witness) == [[(n,)] for n in range(1, 10)]
