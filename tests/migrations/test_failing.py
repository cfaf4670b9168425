"""A step that fails, or is stopped: what it says, what stays applied."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from dbpool import migrate
from dbpool.errors import MigrationError
from tests.migrations.test_folders import ASYNC_ENV, SYNC_ENV, tables
from tests.support.databases import Database
from tests.support.migrationfolders import Steps


async def failure(database: Database, steps: Steps) -> str:
    with pytest.raises(MigrationError) as caught:
        await migrate.upgrade(database.dsn, folder=steps.path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_statement_that_fails_is_told_with_the_step_and_what_stays(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table kept ()")
    steps.sql("b2", "do $$ begin create table gone (); perform 1/0; end $$", after="a1")
    sentence = await failure(database, steps)
    assert "in step b2 (step b2): division by zero (22012). Its statement: do $$ begin" in sentence
    assert "Nothing of it is applied. Before it a1 ran, and stays so." in sentence
    assert await tables(database) == {"kept", "alembic_version"}
    assert await migrate.current(database.dsn, folder=steps.path) == "a1"


async def test_python_that_fails_is_told_with_its_line(database: Database, steps: Steps) -> None:
    steps.add("a1", "op.execute('create table gone ()')\nlen(5)")
    sentence = await failure(database, steps)
    assert "TypeError: object of type 'int' has no len() (a1_step.py, line 12)" in sentence
    assert await tables(database) <= {"alembic_version"}


async def test_an_index_that_could_not_be_finished_is_named(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table twice as select 1 as x from generate_series(1, 2)")
    steps.add(
        "b2",
        "with op.get_context().autocommit_block():\n"
        "    op.execute('create unique index concurrently twice_x on twice (x)')",
        after="a1",
    )
    sentence = await failure(database, steps)
    assert "could not create unique index" in sentence
    assert "what it did before stays" in sentence
    assert "Invalid indexes: twice_x" in sentence


@pytest.mark.parametrize("env", [None, ASYNC_ENV, SYNC_ENV], ids=["none", "asynchronous", "synchronous"])
async def test_a_cancelled_step_is_rolled_back_and_those_before_it_stay(
    database: Database, steps: Steps, env: str | None
) -> None:
    if env is not None:
        (steps.path / "env.py").write_text(env)
    steps.sql("a1", "create table kept ()")
    steps.add("b2", "op.execute('create table gone ()')\nop.execute('select pg_sleep(60)')", after="a1")
    watcher = await asyncpg.connect(database.dsn)
    try:
        going = asyncio.create_task(migrate.upgrade(database.dsn, folder=steps.path))
        while not await watcher.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
        ):
            assert not going.done(), going
            await asyncio.sleep(0.02)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
    finally:
        await watcher.close()
    assert "gone" not in await tables(database)
    assert await migrate.current(database.dsn, folder=steps.path) == "a1"


async def test_a_lost_connection_is_told(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table kept ()")
    steps.sql("b2", "select pg_terminate_backend(pg_backend_pid())", after="a1")
    sentence = await failure(database, steps)
    assert "in step b2" in sentence
    assert "terminating connection" in sentence or "closed" in sentence
    assert await migrate.current(database.dsn, folder=steps.path) == "a1"
