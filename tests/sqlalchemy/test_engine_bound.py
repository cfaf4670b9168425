"""Sessions and the pool's own calls stand in one line, before one bound."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from dbpool import AcquireTimeout, LineFull, PoolDeadlock
from dbpool.sqlalchemy import create_engine
from tests.sqlalchemy.models import Author, library
from tests.support.databases import Database
from tests.support.pools import becomes, held, pool_of, role_in, settled, witness_of

BOUND = 5


@pytest.mark.every_loop
async def test_sessions_and_fetches_together_never_exceed_the_bound(database: Database) -> None:
    async with library(database), role_in(database, limit=BOUND) as dsn, witness_of(database) as witness:
        await witness.run("grant select on authors, books to public")
        async with pool_of(dsn, BOUND) as db:
            make = async_sessionmaker(create_engine(db))
            seen: list[int] = []

            async def session(number: int) -> None:
                async with make() as orm:
                    author = await orm.get_one(Author, number % 5 + 1)
                    await orm.execute(text("select pg_sleep(0.002)"))
                    assert len(await author.awaitable_attrs.books) == 2

            async def fetch(number: int) -> None:
                assert await db.fetchval("select $1::int from pg_sleep(0.002)", number) == number

            async def watch() -> None:
                while True:
                    seen.append(len(await witness.backends()))
                    await asyncio.sleep(0.001)

            watching = asyncio.create_task(watch())
            # one connection more than the bound would be refused by the server: 53300
            await asyncio.gather(*(session(n) for n in range(50)), *(fetch(n) for n in range(50)))
            watching.cancel()
            stats = db.stats()
            assert stats.granted_total >= 100
            assert stats.connections <= BOUND
    assert max(seen) <= BOUND + 2  # those of the library's own pool rest beside them


async def test_a_lane_bounds_its_engine(database: Database) -> None:
    async with pool_of(database, 3) as db:
        lane = db.lane("orm", at_most=1, max_waiting=1)
        engine = create_engine(lane)
        async with engine.connect():
            assert lane.held == 1
            waiting = asyncio.create_task(engine.connect().start())
            await becomes(lambda: lane.waiting)
            with pytest.raises(LineFull, match="'orm'"):
                await engine.connect().start()
            assert await db.fetchval("select 1") == 1
        await (await waiting).close()


async def test_who_waits_too_long_is_told_who_holds(database: Database) -> None:
    async with pool_of(database, 1) as db, held(db):
        with pytest.raises(AcquireTimeout, match="1 of 1 permits held") as caught:
            async with AsyncSession(create_engine(db, pool_timeout=0.05)) as session:
                await session.execute(select(1))
        assert "in held" in str(caught.value.report)


async def test_sessions_within_each_other_are_a_deadlock_found_at_once(database: Database) -> None:
    async with library(database, 1, acquire_timeout=20) as (db, engine):
        make = async_sessionmaker(engine)

        async def nested() -> None:
            async with make() as outer:
                await outer.get(Author, 1)
                async with make() as inner:
                    await inner.get(Author, 2)

        with pytest.raises(PoolDeadlock) as caught:
            await nested()
        assert "nested" in caught.value.waiting_at
        assert "nested" in caught.value.held_at[0]
        await settled(db)


async def test_a_session_around_a_call_of_the_pool_is_a_deadlock_found_at_once(database: Database) -> None:
    async with library(database, 1, acquire_timeout=20) as (db, engine):
        with pytest.raises(PoolDeadlock):
            async with engine.begin() as connection:
                await connection.execute(select(Author))
                await db.fetch("select 1")
