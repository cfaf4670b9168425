"""Migrations beside others: other migrators, and the application that uses the tables."""

from __future__ import annotations

import asyncio
import sys
import time

import asyncpg
import pytest

from dbpool import migrate
from dbpool.errors import MigrationError, SettingsError
from dbpool.migrate import Delayed, News, Queued, TableLocks, Waiting
from tests.support.databases import Database
from tests.support.migrationfolders import Steps

BRIEF = TableLocks(timeout_s=0.2, patience_s=1.0)
SEEN = TableLocks(timeout_s=0.5, patience_s=2.5)
PATIENT = TableLocks(timeout_s=0.2, patience_s=30.0)
REPLICAS = 10
# a process with all that is imported is forked, which ten interpreters that start would take half a minute to be
MIGRATE = """
import asyncio, os, sys
import alembic.context, asyncpg, sqlalchemy.dialects.postgresql.asyncpg, sqlalchemy.ext.asyncio
import dbpool.migrate.moving
from dbpool import migrate

def replica():
    done = asyncio.run(migrate.upgrade(sys.argv[1], folder=sys.argv[2]))
    os.write(1, (",".join(ran.revision.id for ran in done.ran) + ".\\n").encode())

children = []
for _ in range(int(sys.argv[3])):
    if not (child := os.fork()):
        try:
            replica()
        except BaseException as error:
            os.write(1, repr(error).encode())
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""


async def test_ten_processes_at_once_run_each_step_exactly_once(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table ran (step text)")
    steps.sql("b2", "insert into ran select 'b2' from pg_sleep(0.2)", after="a1")
    steps.sql("c3", "insert into ran values ('c3')", after="b2")
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MIGRATE, database.dsn, str(steps.path), str(REPLICAS)), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await parent.communicate()
    assert sorted(told.decode().splitlines()) == ["."] * (REPLICAS - 1) + ["a1,b2,c3."]
    connection = await asyncpg.connect(database.dsn)
    try:
        assert [row[0] for row in await connection.fetch("select step from ran order by 1")] == ["b2", "c3"]
    finally:
        await connection.close()


async def test_other_readers_are_served_while_a_step_waits_for_a_long_one(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table busy (x int)")
    steps.sql("b2", "alter table busy add y int", after="a1")
    await migrate.upgrade(database.dsn, "a1", folder=steps.path)
    heard: list[News] = []
    long_one, other = await asyncpg.connect(database.dsn), await asyncpg.connect(database.dsn)
    try:
        await long_one.execute("begin; select * from busy")
        going = asyncio.create_task(
            migrate.upgrade(database.dsn, folder=steps.path, table_locks=PATIENT, tell=heard.append)
        )
        served = 0
        while sum(isinstance(news, Delayed) for news in heard) < 3 or not any(
            isinstance(news, Waiting) for news in heard
        ):
            await other.fetch("select * from busy")  # stands behind the step for a try of 0.2 s, at the most
            served += 1
            assert not going.done()
            await asyncio.sleep(0.01)
        assert served > 3
        await long_one.execute("commit")
        done = await going
    finally:
        await long_one.close()
        await other.close()
    assert done.after == ("b2",)
    assert done.ran[0].tries > 3
    waiting = next(news for news in heard if isinstance(news, Waiting))
    assert waiting.blockers[0].query == "begin; select * from busy"


async def test_a_step_that_never_gets_its_lock_is_given_up_with_who_was_in_the_way(
    database: Database, steps: Steps
) -> None:
    steps.sql("a1", "create table busy (x int)")
    steps.sql("b2", "create table before_it ()", after="a1")
    steps.sql("c3", "alter table busy add y int", after="b2")
    await migrate.upgrade(database.dsn, "a1", folder=steps.path)
    reader = await asyncpg.connect(database.dsn, server_settings={"application_name": "long report"})
    try:
        await reader.execute("begin; select * from busy")
        with pytest.raises(MigrationError) as caught:
            await migrate.upgrade(database.dsn, folder=steps.path, table_locks=SEEN)
    finally:
        await reader.close()
    sentence = str(caught.value)
    assert "in step c3" in sentence
    assert "tries of 0.5 s within 2.5 s" in sentence
    assert "(long report), idle in transaction" in sentence
    assert "Nothing of it is applied. Before it b2 ran" in sentence
    assert await migrate.current(database.dsn, folder=steps.path) == "b2"


async def test_a_relative_revision_is_counted_once_however_often_a_step_is_tried(
    database: Database, steps: Steps
) -> None:
    steps.sql("a1", "create table busy (x int)")
    steps.sql("b2", "create table first ()", after="a1")
    steps.sql("c3", "alter table busy add y int", after="b2")
    steps.sql("d4", "create table never ()", after="c3")
    await migrate.upgrade(database.dsn, "a1", folder=steps.path)
    heard: list[News] = []
    reader = await asyncpg.connect(database.dsn)
    try:
        await reader.execute("begin; select * from busy")
        going = asyncio.create_task(
            migrate.upgrade(database.dsn, "+2", folder=steps.path, table_locks=PATIENT, tell=heard.append)
        )
        while not any(isinstance(news, Delayed) for news in heard):
            assert not going.done()
            await asyncio.sleep(0.01)
        await reader.execute("commit")
        done = await going
    finally:
        await reader.close()
    assert [ran.revision.id for ran in done.ran] == ["b2", "c3"]
    assert done.after == ("c3",)


async def test_an_index_is_made_concurrently_and_waits_for_readers_as_long_as_it_takes(
    database: Database, steps: Steps
) -> None:
    steps.sql("a1", "create table busy (x int)")
    steps.add(
        "b2",
        "with op.get_context().autocommit_block():\n"
        "    op.create_index('busy_x_idx', 'busy', ['x'], postgresql_concurrently=True)",
        after="a1",
    )
    await migrate.upgrade(database.dsn, "a1", folder=steps.path)
    writer, watcher = await asyncpg.connect(database.dsn), await asyncpg.connect(database.dsn)
    try:
        await writer.execute("begin; insert into busy values (1)")
        going = asyncio.create_task(migrate.upgrade(database.dsn, folder=steps.path, table_locks=BRIEF))
        began = time.monotonic()
        while time.monotonic() < began + 1.5:  # more than a try, more than its patience
            await watcher.execute("insert into busy values (2)")  # nobody stands behind it
            assert not going.done()
            await asyncio.sleep(0.05)
        await writer.execute("commit")
        done = await going
        assert done.ran[0].tries == 1
        assert await watcher.fetchval("select indisvalid from pg_index where indexrelid = 'busy_x_idx'::regclass")
    finally:
        await writer.close()
        await watcher.close()


async def test_a_statement_outside_of_a_transaction_is_tried_again_while_nothing_is_stored(
    database: Database, steps: Steps
) -> None:
    steps.sql("a1", "create table busy (x int)")
    steps.add(
        "b2", "with op.get_context().autocommit_block():\n    op.execute('alter table busy add y int')", after="a1"
    )
    await migrate.upgrade(database.dsn, "a1", folder=steps.path)
    heard: list[News] = []
    reader = await asyncpg.connect(database.dsn)
    try:
        await reader.execute("begin; select * from busy")
        going = asyncio.create_task(
            migrate.upgrade(database.dsn, folder=steps.path, table_locks=PATIENT, tell=heard.append)
        )
        while not any(isinstance(news, Delayed) for news in heard):
            assert not going.done()
            await asyncio.sleep(0.01)
        await reader.execute("commit")
        assert (await going).ran[0].tries > 1
    finally:
        await reader.close()


async def test_a_step_that_is_partly_stored_is_not_tried_again(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table busy (x int)")
    steps.add(
        "b2",
        "op.execute('create table half ()')\n"
        "with op.get_context().autocommit_block():\n    op.execute('alter table busy add y int')",
        after="a1",
    )
    await migrate.upgrade(database.dsn, "a1", folder=steps.path)
    reader = await asyncpg.connect(database.dsn)
    try:
        await reader.execute("begin; select * from busy")
        with pytest.raises(MigrationError, match=r"in 1 try.*left its transaction"):
            await migrate.upgrade(database.dsn, folder=steps.path, table_locks=PATIENT)
        assert await reader.fetchval("select to_regclass('half')") == "half"
    finally:
        await reader.close()


async def test_the_one_that_holds_the_lock_is_named(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table mine ()")
    heard: list[News] = []
    other = await asyncpg.connect(database.dsn, server_settings={"application_name": "release 41"})
    try:
        await other.execute("select pg_advisory_lock($1)", int.from_bytes(b"dbpool"))
        with pytest.raises(MigrationError, match=r"another migrator \(pid \d+, release 41, from .*\) works on this"):
            await migrate.upgrade(database.dsn, folder=steps.path, lock_timeout=0.1, tell=heard.append)
        assert heard == [Queued()]
    finally:
        await other.close()


@pytest.mark.parametrize("timeout_s", [-1, 0.0005, float("nan"), 1e6])
def test_a_wait_that_means_nothing_is_refused(timeout_s: float) -> None:
    with pytest.raises(SettingsError, match="timeout_s="):
        TableLocks(timeout_s=timeout_s)
