"""What fails of map, and what of it goes on."""

from __future__ import annotations

import asyncpg
import pytest

from tests.bulk.test_map import people
from tests.support.databases import Database
from tests.support.pools import pool_of

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
