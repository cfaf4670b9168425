"""What the driver cannot read is a lost connection wherever it is met; a value that it cannot make is only that."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, TypeAlias

import asyncpg
import pytest

from dbpool import ConnectionLost, DatabasePool, QueryTimeout, WriteFailed, WriteOutcomeUnknown
from tests.postgres.test_stream_changed import CHANGES, PID, READ, in_each, letter, mangled, never, silent_loop, twice
from tests.support.databases import Database
from tests.support.mangling import Mangler

Use: TypeAlias = Callable[[Any], Awaitable[object]]
# The last two are the driver's own, on a connection of one's own.
TOLD = (ConnectionLost, QueryTimeout, TimeoutError, asyncpg.ConnectionDoesNotExistError)


async def copied_out(connection: Any) -> object:  # noqa: ANN401 - as asyncpg has it
    async def take(_: bytes) -> None:
        """Nothing is done with it."""

    return await connection.copy_from_query("select generate_series(1, 9)", output=take)


async def copied_in(connection: Any) -> object:  # noqa: ANN401 - as asyncpg has it
    await connection.execute("create temporary table if not exists mine (n int)")
    return await connection.copy_records_to_table("mine", records=[(1,), (2,)])


USES: dict[str, tuple[Use, object]] = {
    "fetchval": (lambda connection: connection.fetchval(READ, 3), 1),
    "new": (lambda connection: connection.fetchval("select $1::int8 + 1", 2), 3),
    "execute": (lambda connection: connection.execute("select 1"), "SELECT 1"),
    "executemany": (lambda connection: connection.executemany("select $1::int", [(1,), (2,)]), None),
    "copy out": (copied_out, "COPY 9"),
    "copy in": (copied_in, "COPY 2"),
}


@pytest.mark.parametrize("use", USES)
async def test_on_a_connection_of_ones_own_it_is_told_as_lost_and_closed(database: Database, use: str) -> None:
    work, right = USES[use]

    async def case(db: DatabasePool, mangler: Mangler, arm: Callable[[], None]) -> None:
        before = await db.fetchval(PID)
        async with db.acquire() as connection:
            arm()
            try:
                assert await work(connection) == right
                misread = False
            except TOLD as error:
                misread = isinstance(error, ConnectionLost)
        mangler.change = bytes
        with suppress(ConnectionLost):  # a second ReadyForQuery meets the next statement
            after = await db.fetchval(PID)
            assert not misread or after != before
        assert len(await db.fetch(READ, 2)) == 2

    kinds = (b"T", b"t", b"1") if use == "new" else (b"C", b"Z", b"2") if use == "executemany" else (b"C", b"Z")
    changes = [each for each in CHANGES if each != "nothing"]  # with which all that follows is lost: a time limit
    await in_each(database, list(itertools.product(changes, kinds)), case)


async def test_a_second_ready_for_query_gives_no_item_of_a_map_anothers_answer(database: Database) -> None:
    for nth in range(1, 7):
        with silent_loop():
            async with mangled(database) as (db, mangler):
                mangler.once(b"Z", twice, nth)
                for _ in range(2):
                    with suppress(ConnectionLost, QueryTimeout):
                        async for key, value, error in db.map_val("select $1::bigint", [nth, 100 + nth, 200 + nth]):
                            assert value == key or isinstance(error, TOLD), (nth, key, value, error)


async def test_rows_of_an_insert_are_stored_when_and_only_when_it_says_so(database: Database) -> None:
    async with mangled(database) as (db, _):
        await db.execute("create table written (n int)")
    for nth in range(1, 9):
        with silent_loop():
            async with mangled(database) as (db, mangler):
                mangler.once(b"C", letter(b"~"), nth)
                told: type[WriteFailed | WriteOutcomeUnknown] | None = None
                try:
                    await db.insert("written", [(nth,)] * 3, columns=["n"])
                except (WriteFailed, WriteOutcomeUnknown) as error:
                    told = type(error)
                mangler.change = bytes
                stored = await db.fetchval("select count(*) from written where n = $1", nth)
                assert stored in {None: (3,), WriteFailed: (0,), WriteOutcomeUnknown: (0, 3)}[told], (nth, told)


async def streamed(db: Any, sql: Any, *args: object) -> object:  # noqa: ANN401 - as the method
    async with aclosing(db.stream(sql, *args)) as rows:
        return [row[0] async for row in rows][-1]


@pytest.mark.parametrize("use", [DatabasePool.fetchval, streamed])
async def test_parameters_that_were_never_described_are_a_lost_connection(
    database: Database, use: Callable[..., Awaitable[object]]
) -> None:
    async with mangled(database) as (db, mangler):
        mangler.once(b"t", never)
        with pytest.raises(ConnectionLost):
            await use(db, "select $1::int8 + 2", 5)
        assert await use(db, "select $1::int8 + 2", 5) == 7


@pytest.mark.parametrize("sql", ["select '294276-12-31'::date", "select '4713-01-01 BC'::timestamp"])
async def test_a_value_that_the_driver_has_no_object_for_costs_no_connection(database: Database, sql: str) -> None:
    async with mangled(database) as (db, _):
        before = await db.fetchval(PID)
        with pytest.raises((ValueError, OverflowError)):
            await db.fetchval(sql)
        async with db.acquire() as connection:
            with pytest.raises((ValueError, OverflowError)):
                await connection.fetchval(sql)
        async with db.transaction() as tx:
            with pytest.raises((ValueError, OverflowError)):
                await tx.fetchval(sql)
        assert await db.fetchval(PID) == before


async def test_what_a_decoder_of_ones_own_raises_is_no_fault_of_the_connection(database: Database) -> None:
    def refuse(_: str) -> object:
        raise IndexError("mine")

    async with mangled(database) as (db, _), db.acquire() as connection:
        await connection.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=refuse)
        with pytest.raises(IndexError, match="mine"):
            await connection.fetchval("""select '{"a": 1}'::json""")
        assert await connection.fetchval("select 1") == 1
