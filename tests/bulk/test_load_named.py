"""Records that have names for their values are loaded by name, as they are inserted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

from dbpool import LoadFailed
from tests.support.databases import Database
from tests.support.pools import pool_of

TABLE = "create table named (id int, name text, more text)"


class Named(NamedTuple):
    name: str
    id: int


@dataclass
class Data:
    name: str
    id: int


def mapping(name: str, number: int) -> dict[str, object]:
    return {"name": name, "id": number}


@pytest.mark.parametrize("kind", [Named, Data, mapping])
async def test_records_with_names_are_loaded_by_them(database: Database, kind: Callable[[str, int], object]) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        for write in (db.load, db.insert):
            await write("named", [kind("a", 1), ("b", 2), kind("c", 3)])
            await write("named", [(4, "d"), kind("e", 5)], columns=["id", "name"])
            await write("named", [kind("f", 6)], columns=["name"])
        rows = await db.fetch("select id, name, count(*) from named group by 1, 2 order by 2")
        assert list(map(tuple, rows)) == [(n, "abcde"[n - 1], 2) for n in range(1, 6)] + [(None, "f", 2)]


async def test_rows_that_were_fetched_are_loaded_by_name(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        rows = await db.fetch("select 'name ' || n as name, n as id from generate_series(1, 2000) as n")
        assert (await db.load("named", rows, chunk_rows=700)).rows == 2000
        assert await db.fetchval("select count(*) from named where name = 'name ' || id") == 2000
        others = await db.fetch("select 1 as id, 2 as other")
        for mixed in ([*rows[:600], *others], others):
            with pytest.raises(LoadFailed, match="it has no value for 'name'") as caught:
                await db.load("named", mixed, columns=["id", "name"])
            assert (caught.value.line, caught.value.rows_stored) == (len(mixed), 0)
        with pytest.raises(LoadFailed, match="'other', which the first row does not have"):
            await db.load("named", [Named("a", 1), *others])


async def test_sequences_without_names_are_loaded_by_place(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table named (a int, b int)")
        await db.load("named", [[1, 2], (3, 4), range(5, 7)])
        await db.load("named", np.array([[7, 8]], "i4"))
        assert [tuple(row) for row in await db.fetch("select * from named order by a")] == [
            (1, 2),
            (3, 4),
            (5, 6),
            (7, 8),
        ]
