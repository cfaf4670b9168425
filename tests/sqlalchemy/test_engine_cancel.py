"""A session cancelled at any of its suspensions: no permit is lost, no connection is left, nobody is lied to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from dbpool.sqlalchemy import create_engine
from tests.postgres.test_cancel_everywhere import BOUND, check_harmless, outcome_told, sweep, trials
from tests.sqlalchemy.models import Author, Book, library
from tests.support.databases import Database
from tests.support.pools import witness_of

Use = Callable[[AsyncEngine, int], Coroutine[Any, Any, None]]


async def looked_up(engine: AsyncEngine, number: int) -> None:
    async with AsyncSession(engine) as session:
        author = await session.get_one(Author, 1)
        assert len(await author.awaitable_attrs.books) == 2


async def executed(engine: AsyncEngine, number: int) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("set work_mem = '65kB'"))
        await connection.execute(select(Author))


async def alone(engine: AsyncEngine, number: int) -> None:
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(select(Author))


async def streamed(engine: AsyncEngine, number: int) -> None:
    async with AsyncSession(engine) as session:
        async for _ in await session.stream_scalars(select(Book).execution_options(yield_per=4)):
            pass


async def stored(engine: AsyncEngine, number: int) -> None:
    async with AsyncSession(engine) as session, session.begin():
        async with session.begin_nested():
            session.add(Author(id=1000 + number, name=f"number {number}"))


async def stored_many(engine: AsyncEngine, number: int) -> None:
    async with engine.begin() as connection:
        rows = [{"id": 1000 + number, "name": f"number {number}"}, {"id": 9000 + number, "name": f"and {number}"}]
        await connection.execute(insert(Author), rows)


@pytest.mark.parametrize("use", [looked_up, executed, alone, streamed])
async def test_a_reader_cancelled_anywhere_leaves_a_pool_that_works(database: Database, use: Use) -> None:
    async with library(database, BOUND) as (db, engine), witness_of(database) as witness:
        for trial in trials():
            await trial.run(use(engine, trial.number))
            await check_harmless(db, witness)


async def test_the_first_session_of_an_engine_cancelled_anywhere_leaves_an_engine_that_works(
    database: Database,
) -> None:
    async with library(database, BOUND) as (db, _), witness_of(database) as witness:
        for trial in trials():
            engine = create_engine(db)
            await trial.run(looked_up(engine, trial.number))
            await looked_up(engine, trial.number)
            await check_harmless(db, witness)


@pytest.mark.parametrize("use", [stored, stored_many])
async def test_what_a_writer_is_told_to_be_stored_is_and_none_in_part(database: Database, use: Use) -> None:
    """Cancelled without a word: before COMMIT, or after it, while the connection was given back."""
    told: dict[int, str] = {}
    async with library(database, BOUND) as (db, engine), witness_of(database) as witness:
        for trial in trials():
            told[trial.number] = outcome_told(await trial.run(use(engine, trial.number)))
            await check_harmless(db, witness)
        stored_ids = {int(str(number)) for (number,) in await witness.rows("select id from authors where id > 1000")}
    first, second = ({number - base for number in stored_ids if 0 < number - base < 1000} for base in (1000, 9000))
    assert {number for number, what in told.items() if what == "committed"} <= first
    assert set(told) - first, "nobody was cancelled in time"
    assert use is stored or first == second


@pytest.mark.every_loop
@pytest.mark.parametrize("use", [looked_up, streamed, stored])
async def test_a_session_out_of_time_anywhere_leaves_a_pool_that_works(database: Database, use: Use) -> None:
    async with library(database, BOUND) as (db, engine), witness_of(database) as witness:
        numbers = iter(range(1, 1000))
        assert await sweep(lambda: use(engine, next(numbers)), longest_s=0.02) > 0
        await check_harmless(db, witness)


async def test_a_session_cancelled_while_its_connection_is_reset_logs_no_error(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with library(database, 1) as (db, engine), witness_of(database) as witness:
        for trial in trials():
            others: list[asyncio.Task[None]] = []

            async def changed(others: list[asyncio.Task[None]] = others) -> None:
                async with AsyncSession(engine) as session:
                    await session.execute(text("set work_mem = '65kB'"))
                    others.append(asyncio.create_task(looked_up(engine, 1)))  # in line when the connection comes back
                    await session.commit()

            await trial.run(changed())
            await asyncio.gather(*others)
            await check_harmless(db, witness)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_session_cancelled_in_line_never_had_a_connection(database: Database) -> None:
    async with library(database, 1) as (db, engine):
        async with engine.connect():
            granted = db.stats().granted_total
            waiting = asyncio.create_task(looked_up(engine, 1))
            while not db.stats().waiting:
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert db.stats().granted_total == granted
