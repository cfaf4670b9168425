"""An engine on a pool: Core through its connections."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import (
    DDL,
    Column,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from dbpool.events import SlowQuery
from dbpool.sqlalchemy import create_engine
from tests.sqlalchemy.models import Author, Base, library
from tests.support.databases import Database
from tests.support.pools import pool_of, settled, witness_of

t = Table("t", MetaData(), Column("a", Integer, primary_key=True), Column("b", Text))


async def in_use(engine: AsyncEngine) -> list[int]:
    async with engine.connect() as connection:
        return list((await connection.scalars(select(t.c.a).order_by(t.c.a))).all())


async def test_it_is_sqlalchemys_own_and_never_shows_a_password(database: Database) -> None:
    async with pool_of(database) as db:
        engine = create_engine(db)
        assert isinstance(engine, AsyncEngine)
        assert (engine.name, engine.driver) == ("postgresql", "dbpool")
        assert engine.url.password is None
        assert "held" in engine.pool.status()


@pytest.mark.every_loop
async def test_what_begin_commits_is_stored_and_what_fails_is_not(database: Database) -> None:
    async with pool_of(database) as db:
        engine = create_engine(db)
        async with engine.begin() as connection:
            await connection.run_sync(t.metadata.create_all)
            result = await connection.execute(insert(t).values(a=1, b="x"))
            assert (result.rowcount, result.inserted_primary_key) == (1, (1,))
        with pytest.raises(ZeroDivisionError):
            async with engine.begin() as connection:
                await connection.execute(insert(t).values(a=2))
                raise ZeroDivisionError
        assert await in_use(engine) == [1]
        assert await db.fetchval("select b from t") == "x"


async def test_connections_are_counted_and_returned(database: Database) -> None:
    async with library(database) as (db, engine):
        async with engine.connect() as connection:
            assert db.stats().held == 1  # a lease is there from the beginning, as SQLAlchemy has it
            assert await connection.scalar(select(func.count()).select_from(Author)) == 5
            (holder,) = db.report().holders
            assert "test_engine.py" in holder.where
            assert holder.where.endswith("in test_connections_are_counted_and_returned")
            assert "count" in (holder.sql or "")
            assert holder.in_transaction
            assert "test_engine.py" in holder.stack[-1]
        await settled(db)


async def test_a_session_that_only_reads_owes_no_reset_and_one_that_sets_does(database: Database) -> None:
    async with library(database, 1) as (db, engine):
        before = db.stats().resets_total
        async with engine.begin() as connection:
            await connection.execute(select(Author))
            async with connection.begin_nested():
                await connection.execute(update(Author).values(name=Author.name + "!"))
        await settled(db)
        assert db.stats().resets_total == before
        async with engine.begin() as connection:
            await connection.execute(text("set work_mem = '65kB'"))
        await settled(db)
        assert db.stats().resets_total == before + 1
        assert await db.fetchval("select current_setting('work_mem') <> '65kB'")


async def test_nothing_is_sent_for_a_connection_that_ran_nothing(database: Database) -> None:
    async with library(database, 1) as (db, engine):
        pid = await db.fetchval("select pg_backend_pid()")
        async with witness_of(database) as witness:
            last = await witness.value("select query_start from pg_stat_activity where pid = $1", pid)
            async with engine.connect() as connection:
                await connection.rollback()
            assert await witness.value("select query_start from pg_stat_activity where pid = $1", pid) == last


async def test_isolation_levels_and_read_only_reach_the_server(database: Database) -> None:
    shown = select(func.current_setting("transaction_isolation"), func.current_setting("transaction_read_only"))
    async with library(database) as (_, engine):
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="SERIALIZABLE", postgresql_readonly=True)
            assert tuple((await connection.execute(shown)).one()) == ("serializable", "on")
        async with engine.connect() as connection:
            assert tuple((await connection.execute(shown)).one()) == ("read committed", "off")
            assert await connection.get_isolation_level() == "READ COMMITTED"


async def test_autocommit_sends_no_begin(database: Database) -> None:
    async with library(database) as (db, engine):
        alone = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with alone.connect() as connection:
            await connection.execute(insert(Author).values(id=9, name="nine"))
            assert not db.report().holders[0].in_transaction
            assert await db.fetchval("select name from authors where id = 9") == "nine"
            await connection.execute(text("vacuum authors"))  # refused in a transaction


async def test_rows_counts_and_batches(database: Database) -> None:
    async with pool_of(database) as db, create_engine(db).begin() as connection:
        await connection.run_sync(t.metadata.create_all)
        rows = [{"a": n, "b": str(n)} for n in range(2500)]
        returned = await connection.execute(insert(t).returning(t.c.a, sort_by_parameter_order=True), rows)
        assert [row.a for row in returned] == list(range(2500))
        assert (await connection.execute(update(t).where(t.c.a < 7).values(b="y"))).rowcount == 7
        changes = [{"k": n, "v": "z"} for n in range(3)]
        await connection.execute(update(t).where(t.c.a == bindparam("k")).values(b=bindparam("v")), changes)
        assert (await connection.execute(select(t.c.a).where(t.c.b == "z"))).scalars().all() == [0, 1, 2]
        assert (await connection.execute(text("create table u ()"))).rowcount == -1
        assert (await connection.exec_driver_sql("select $1::int + 1", (1,))).scalar() == 2


async def test_rows_are_streamed_from_a_cursor(database: Database) -> None:
    numbers = select(func.generate_series(1, 5000).label("n"))
    async with pool_of(database) as db, create_engine(db).connect() as connection:
        async with connection.stream(numbers.execution_options(yield_per=100)) as result:
            first = [row.n for row in await result.fetchmany(3)]
            assert await connection.scalar(text("select count(*) from pg_cursors where name like '%portal%'")) == 1
            rest = [row.n async for row in result]
        assert first + rest == list(range(1, 5001))
        assert len(await (await connection.stream_scalars(numbers)).all()) == 5000


async def test_tables_are_inspected(database: Database) -> None:
    async with library(database) as (_, engine), engine.connect() as connection:
        names = await connection.run_sync(lambda sync: sorted(inspect(sync).get_table_names()))
        assert names == ["authors", "books"]
        reflected = MetaData()
        await connection.run_sync(reflected.reflect)
        assert set(reflected.tables["books"].columns.keys()) == {"id", "title", "author_id"}


async def test_plans_out_of_date_are_made_anew(database: Database) -> None:
    async with library(database) as (db, engine):
        statement = text("select * from authors order by id limit 1")
        async with AsyncExitStack() as stack:
            for connection in [await stack.enter_async_context(engine.connect()) for _ in range(2)]:
                await connection.execute(statement)
        async with witness_of(database) as witness:  # not by the engine, which would know
            await witness.run("alter table authors add column born int")
        async with engine.connect() as connection:  # BEGIN goes with it, and begins again
            assert (await connection.execute(statement)).keys() == ["id", "name", "born"]
        alone = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with AsyncExitStack() as stack:
            for connection in [await stack.enter_async_context(alone.connect()) for _ in range(2)]:
                assert (await connection.execute(statement)).keys() == ["id", "name", "born"]
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        assert await db.fetch("select * from authors") == []


async def test_a_change_of_the_schema_by_the_engine_reaches_every_connection(database: Database) -> None:
    statement = text("select * from authors order by id limit 1")
    async with library(database) as (_, engine):
        async with engine.connect() as one, engine.connect() as other:
            await one.execute(statement)
            await other.execute(statement)
        async with engine.begin() as connection:
            await connection.execute(DDL("alter table authors add column born int"))  # type: ignore[no-untyped-call]
        async with engine.connect() as one, engine.connect() as other:
            for connection in one, other:
                await connection.execute(select(1))  # in the midst of a transaction none can begin again
                assert (await connection.execute(statement)).keys() == ["id", "name", "born"]


async def test_the_driver_s_connection_is_the_lease_s(database: Database) -> None:
    async with library(database) as (db, engine):
        async with engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            await driver.copy_records_to_table("authors", records=[(8, "eight")], columns=["id", "name"])
        with pytest.raises(Exception, match=r"released back to the pool|closed"):
            await driver.fetchval("select 1")
        assert await db.fetchval("select count(*) from authors where id = 8") == 1


async def test_statements_of_sessions_are_told_to_whoever_measures_the_pool(database: Database) -> None:
    async with library(database, slow_query=0.2) as (db, engine):
        slow: list[SlowQuery] = []
        db.on_event(lambda event: slow.append(event) if isinstance(event, SlowQuery) else None)
        async with engine.connect() as connection:
            await connection.execute(text("select pg_sleep(0.3)"))
        (where,) = [event.where for event in slow if event.sql == "select pg_sleep(0.3)"]
        assert "test_statements_of_sessions" in where
