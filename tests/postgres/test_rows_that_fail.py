"""What is no Exception comes out of the rows of COPY or executemany: as it is, and at no cost for anybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from dbpool import DatabasePool
from tests.support.databases import Database
from tests.support.pools import pool_of


class Strange(BaseException):
    """Not an Exception."""


def rows(error: BaseException) -> Iterator[tuple[int]]:
    yield (1,)
    raise error


async def later(error: BaseException) -> AsyncIterator[tuple[int]]:
    for row in rows(error):
        yield row


async def pieces(error: BaseException) -> AsyncIterator[bytes]:
    async for row in later(error):
        yield b"%d\n" % row


async def send(db: DatabasePool, what: str, error: BaseException) -> None:
    async with db.acquire() as connection:
        if what == "records":
            await connection.copy_records_to_table("t", records=rows(error))
        elif what == "async records":
            await connection.copy_records_to_table("t", records=later(error))
        elif what == "pieces":
            await connection.copy_to_table("t", source=pieces(error))
        elif what == "executemany":
            await connection.executemany("insert into t values ($1)", rows(error))
        else:
            await connection.fetchmany("insert into t values ($1) returning a", rows(error))


@pytest.mark.parametrize("what", ["records", "async records", "pieces", "executemany", "fetchmany"])
@pytest.mark.parametrize("kind", [Strange, SystemExit, ValueError, OSError])
async def test_what_goes_wrong_in_the_rows_comes_out_as_it_is_and_the_connection_goes_on(
    database: Database, what: str, kind: type[BaseException]
) -> None:
    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    async with pool_of(database, 1, query_timeout=20.0, reset_timeout=20.0) as db:
        await db.execute("create table t (a int)")
        before = await db.fetchval("select pg_backend_pid()")
        error = kind("mine")
        async with asyncio.timeout(5):  # far below what waiting for nothing would take
            with pytest.raises(kind, match="mine") as caught:
                await send(db, what, error)
            assert caught.value is error
            assert await db.fetchval("select count(*) from t") == 0
        assert await db.fetchval("select pg_backend_pid()") == before
    assert not heard
