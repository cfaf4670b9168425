"""What goes wrong in a session, and what the next one sees of it."""

from __future__ import annotations

import asyncio
import gc

import pytest
from sqlalchemy import Integer, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError, SAWarning
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from dbpool import CommitOutcomeUnknown, ConnectionLost, QueryTimeout, StatementError, TransactionRolledBack, UsageError
from dbpool.events import LeaseReclaimed
from tests.sqlalchemy.models import Author, library
from tests.support.databases import Database
from tests.support.pools import Witness, becomes, settled, witness_of

pid = select(func.pg_backend_pid(type_=Integer))


async def test_a_connection_killed_in_a_session_is_told_as_lost_and_the_next_session_works(database: Database) -> None:
    async with library(database) as (db, engine), witness_of(database) as witness:
        async with AsyncSession(engine) as session:
            await witness.terminate((await session.scalars(pid)).one())
            with pytest.raises(OperationalError) as caught:
                await session.get(Author, 1)
            assert caught.value.connection_invalidated
            assert isinstance(caught.value.driver_exception, ConnectionLost)
            await session.rollback()
            assert (await session.get_one(Author, 1)).name == "author 1"  # on another connection
        async with AsyncSession(engine) as session:
            assert (await session.get_one(Author, 2)).name == "author 2"
        await settled(db)


async def test_a_connection_killed_before_its_rollback_harms_nobody(database: Database) -> None:
    async with library(database) as (db, engine), witness_of(database) as witness:
        for only_reads in True, False:
            async with engine.connect() as connection:
                if not only_reads:
                    await connection.execute(insert(Author).values(id=70, name="seventy"))
                await witness.terminate((await connection.scalars(pid)).one())
            await settled(db)
        assert await db.fetchval("select count(*) from authors where id = 70") == 0


async def test_a_commit_without_an_answer_is_told_as_such(database: Database) -> None:
    async with library(database) as (db, engine), witness_of(database) as witness:
        with pytest.raises(CommitOutcomeUnknown):
            async with engine.begin() as connection:
                await _slow_commits(witness)
                await connection.execute(insert(Author).values(id=71, name="seventy-one"))
                backend = (await connection.scalars(pid)).one()
                killing = asyncio.create_task(_kill_at_commit(witness, backend))
        await killing
        await settled(db)


async def _slow_commits(witness: Witness) -> None:
    await witness.run(
        "create function nap() returns trigger language plpgsql as $$ begin perform pg_sleep(20); return null; end $$; "
        "create constraint trigger slow after insert on authors deferrable initially deferred "
        "for each row execute function nap()"
    )


async def _kill_at_commit(witness: Witness, backend: int) -> None:
    while not await witness.value("select query = 'COMMIT' from pg_stat_activity where pid = $1", backend):
        await asyncio.sleep(0.005)
    await witness.terminate(backend)


async def test_the_servers_errors_are_sqlalchemys_with_the_sqlstate(database: Database) -> None:
    async with library(database) as (_, engine):
        async with engine.connect() as connection:
            with pytest.raises(IntegrityError) as caught:
                await connection.execute(insert(Author).values(id=1, name="x"))
            assert caught.value.orig is not None
            assert getattr(caught.value.orig, "sqlstate", None) == "23505"
            assert not caught.value.connection_invalidated
            with pytest.raises(DBAPIError, match="aborted"):
                await connection.execute(select(1))
            await connection.rollback()
            with pytest.raises(ProgrammingError, match="missing"):
                await connection.execute(text("select missing"))


async def test_a_commit_that_stored_nothing_says_so(database: Database) -> None:
    async with library(database) as (db, engine):
        with pytest.raises(TransactionRolledBack, match="nothing was stored"):
            async with engine.begin() as connection:
                await connection.execute(insert(Author).values(id=60, name="sixty"))
                with pytest.raises(IntegrityError):
                    await connection.execute(insert(Author).values(id=1, name="x"))
        assert await db.fetchval("select count(*) from authors where id = 60") == 0


async def test_a_statement_out_of_time_ends_on_the_server_and_its_session_goes_on(database: Database) -> None:
    async with library(database, 1, query_timeout=0.2) as (db, engine):
        sleeping = text("select pg_sleep(:seconds)")
        for _ in "unprepared", "prepared":
            async with AsyncSession(engine) as session:
                with pytest.raises(QueryTimeout, match=r"0\.20 s"):
                    await session.execute(sleeping, {"seconds": 30.0})
                await session.rollback()
                await session.execute(sleeping, {"seconds": 0.0})
        await settled(db)


async def test_arguments_that_do_not_fit_cost_no_connection(database: Database) -> None:
    statement = text("select id from authors where id = :id")
    async with library(database, 1) as (db, engine):
        before = await db.fetchval("select pg_backend_pid()")
        for is_prepared in False, True:
            async with engine.connect() as connection:
                with pytest.raises(DBAPIError, match="invalid input for query argument"):
                    await connection.execute(statement, {"id": "seven"})
                await connection.rollback()
                assert await connection.scalar(statement, {"id": 4}) == 4, is_prepared
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError, match="invalid input for query argument"):
                await connection.execute(statement, {"id": "seven"})
            assert await connection.scalar(statement, {"id": 5}) == 5
            assert await connection.scalar(text("select count(*) from authors")) == 5  # which must be prepared first
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError, match="invalid input for query argument"):
                await connection.execute(statement, {"id": "seven"})
            ids = await connection.stream_scalars(text("select id from authors order by id"))
            assert await ids.all() == [1, 2, 3, 4, 5]  # for which a transaction must have begun
        assert await db.fetchval("select pg_backend_pid()") == before


async def test_what_can_never_work_is_refused_in_a_sentence(database: Database) -> None:
    async with library(database) as (_, engine), engine.connect() as connection:
        with pytest.raises(StatementError, match="no statement"):
            await connection.execute(text(""))
        with pytest.raises(StatementError, match="COPY"):
            await connection.execute(text("copy authors from stdin"))
        await connection.rollback()
        with pytest.raises(UsageError, match="two-phase"):
            await connection.run_sync(lambda sync: sync.begin_twophase())


async def test_a_session_that_is_forgotten_gives_its_connection_back(database: Database) -> None:
    async with library(database, 1) as (db, engine):
        reclaimed: list[object] = []
        db.on_event(lambda event: reclaimed.append(event) if isinstance(event, LeaseReclaimed) else None)
        await _forget(engine)
        with pytest.warns(SAWarning, match="non-checked-in connection"):
            gc.collect()
        assert await db.fetchval("select 1") == 1
        assert len(reclaimed) == 1


async def _forget(engine: AsyncEngine) -> None:
    connection = await engine.connect().start()
    await connection.execute(insert(Author).values(id=61, name="sixty-one"))


async def test_disposing_of_the_engine_leaves_the_pool_open(database: Database) -> None:
    async with library(database) as (db, engine):
        async with engine.connect() as connection:
            await engine.dispose()
            assert await connection.scalar(select(1)) == 1
        assert db.stats().connections == 1
        async with engine.connect() as connection:
            assert await connection.scalar(select(1)) == 1


async def test_a_connection_that_is_invalidated_by_hand_is_not_seen_again(database: Database) -> None:
    async with library(database) as (db, engine):
        async with engine.connect() as connection:
            backend = (await connection.scalars(pid)).one()
            await connection.invalidate()
        await becomes(lambda: not db.stats().held)
        assert await db.fetchval("select pg_backend_pid()") != backend


async def test_a_session_that_was_cancelled_costs_a_reset_and_no_connection(database: Database) -> None:
    async with library(database, 1) as (db, engine), witness_of(database) as witness, witness.holding():
        backend = await db.fetchval("select pg_backend_pid()")

        async def waits() -> None:
            async with AsyncSession(engine) as session:
                await session.execute(text("select pg_advisory_xact_lock(1)"))

        for _ in "unprepared", "prepared":
            session = asyncio.create_task(waits())
            await witness.until_blocked()
            session.cancel()
            with pytest.raises(asyncio.CancelledError):
                await session
            await witness.until_none_blocked()
            await settled(db)
        assert await db.fetchval("select pg_backend_pid()") == backend


async def test_types_that_have_changed_are_not_noticed_in_a_session(database: Database) -> None:
    async with library(database) as (db, engine):
        await db.execute("create type pair as (a int, b int); create type kind as enum ('x'); create table p (v pair)")
        insertion = text("insert into p values (cast(:v as pair))")
        reading, kind = text("select (v).a, v from p"), text("select cast(cast(:k as kind) as text)")
        for _ in range(2):
            async with engine.begin() as connection:
                await connection.execute(kind, {"k": "x"})
                await connection.execute(insertion, {"v": (1, 2)})
                await connection.execute(reading)
        await db.execute("alter type pair add attribute c int; drop type kind; create type kind as enum ('x')")
        for statement, values in (insertion, {"v": (1, 2, 3)}), (kind, {"k": "x"}), (reading, {}):
            async with engine.begin() as connection:  # each of them the first of its transaction
                await connection.execute(statement, values)
        async with engine.begin() as connection:
            await connection.execute(insertion, {"v": (4, 5, 6)})
            rows = (await connection.execute(reading)).all()
        assert [tuple(row[1]) for row in rows] == [(1, 2, None), (1, 2, None), (1, 2, 3), (4, 5, 6)]
        await settled(db)
