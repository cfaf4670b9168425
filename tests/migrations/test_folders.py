"""A folder of a user's: with and without an env.py, beside the package's own, beside another one."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from dbpool import migrate
from dbpool.errors import MigrationError
from tests.support.databases import Database
from tests.support.migrationfolders import Steps

ASYNC_ENV = """
import asyncio
from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import async_engine_from_config

config = context.config

def run_migrations_offline():
    context.configure(url=config.get_main_option("sqlalchemy.url"), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()

def do_run_migrations(connection):
    context.configure(connection=connection, version_table="theirs")
    with context.begin_transaction():
        context.run_migrations()

async def run_async_migrations():
    section = config.get_section(config.config_ini_section, {})
    connectable = async_engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
    async with connectable.connect() as connection:
        await connection.run_sync(do_run_migrations)
    await connectable.dispose()

if context.is_offline_mode():
    run_migrations_offline()
else:
    asyncio.run(run_async_migrations())
"""
SYNC_ENV = """
from alembic import context
from sqlalchemy import engine_from_config, pool

config = context.config
section = config.get_section(config.config_ini_section, {})
connectable = engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
with connectable.connect() as connection:
    context.configure(connection=connection, version_table="theirs")
    with context.begin_transaction():
        context.run_migrations()
"""


async def asked(database: Database, sql: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(database.dsn)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def tables(database: Database) -> set[object]:
    return {name for (name,) in await asked(database, "select tablename from pg_tables where schemaname = 'public'")}


async def test_a_folder_needs_only_versions_and_its_history_is_apart_from_the_packages(
    database: Database, steps: Steps
) -> None:
    steps.sql("a1", "create table mine ()", "drop table mine")
    steps.sql("b2", "alter table mine add x int", "alter table mine drop x", after="a1")
    done = await migrate.upgrade(database.dsn, folder=steps.path)
    assert (done.before, done.after, [ran.revision.id for ran in done.ran]) == ((), ("b2",), ["a1", "b2"])
    assert await tables(database) == {"mine", "alembic_version"}
    await migrate.upgrade(database.dsn)
    assert await migrate.current(database.dsn) == "0001"
    assert await migrate.current(database.dsn, folder=steps.path) == "b2"
    await migrate.downgrade(database.dsn, "base")
    assert await migrate.current(database.dsn, folder=steps.path) == "b2"
    assert "mine" in await tables(database)


async def test_two_folders_of_one_database_have_a_version_table_each(database: Database, tmp_path: Path) -> None:
    one, two = Steps(tmp_path / "one"), Steps(tmp_path / "two")
    one.sql("0001", "create table one ()")
    two.sql("t1", "create table two ()")
    await migrate.upgrade(database.dsn, folder=one.path)
    with pytest.raises(MigrationError, match=r"revision 0001 .*not in .*two.*--version-table"):
        await migrate.upgrade(database.dsn, folder=two.path)
    await migrate.upgrade(database.dsn, folder=two.path, version_table="two_version")
    assert await migrate.current(database.dsn, folder=one.path) == "0001"
    assert await migrate.current(database.dsn, folder=two.path, version_table="two_version") == "t1"


async def test_an_env_of_two_lines_names_the_version_table(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table mine ()")
    (steps.path / "env.py").write_text("from dbpool.migrate.env import run\n\nrun(version_table='my_version')\n")
    found = await migrate.status(database.dsn, folder=steps.path)
    assert (found.version_table, found.current, [step.id for step in found.pending]) == ("my_version", (), ["a1"])
    assert await tables(database) == set()
    await migrate.upgrade(database.dsn, folder=steps.path)
    assert await tables(database) == {"mine", "my_version"}
    with pytest.raises(MigrationError, match="version table is named there"):
        await migrate.upgrade(database.dsn, folder=steps.path, version_table="other")


@pytest.mark.parametrize("env", [ASYNC_ENV, SYNC_ENV], ids=["asynchronous", "synchronous"])
async def test_an_env_of_alembics_own_kind_is_run_as_it_is(database: Database, steps: Steps, env: str) -> None:
    (steps.path / "env.py").write_text(env)
    steps.sql("a1", "create table mine ()", "drop table mine")
    steps.add("b2", 'with op.get_context().autocommit_block():\n    op.execute("vacuum mine")', after="a1")
    steps.sql("c3", "alter table nothing add x int", after="b2")
    with pytest.raises(MigrationError, match=r'step c3 .*"nothing" does not exist.*Before it a1, b2 ran'):
        await migrate.upgrade(database.dsn, folder=steps.path)
    assert await tables(database) == {"mine", "theirs"}
    assert await migrate.current(database.dsn, folder=steps.path) == "b2"
    await migrate.downgrade(database.dsn, "base", folder=steps.path)
    assert await tables(database) == {"theirs"}


async def test_an_env_that_goes_to_another_database_is_found_out(database: Database, steps: Steps) -> None:
    elsewhere = database.dsn.replace(f"/{database.name}", "/postgres").replace("postgresql://", "postgresql+asyncpg://")
    elsewhere = elsewhere.replace("sslmode=", "ssl=")
    (steps.path / "env.py").write_text(
        ASYNC_ENV.replace(
            "config = context.config\n",
            f"config = context.config\nconfig.set_main_option('sqlalchemy.url', {elsewhere.replace('%', '%%')!r})\n",
        )
    )
    steps.sql("a1", "create table must_not_be ()")
    with pytest.raises(MigrationError, match="another database"):
        await migrate.upgrade(database.dsn, folder=steps.path)


async def test_an_alembic_ini_beside_the_folder_counts(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table mine ()")
    moved = steps.path / "elsewhere"
    (steps.path / "versions").rename(moved)
    (steps.path.parent / "alembic.ini").write_text(
        "[alembic]\nscript_location = %(here)s/migrations of 100%% mine\n"
        f"version_locations = {str(moved).replace('%', '%%')}\npath_separator = newline\n"
        "[loggers]\nkeys = nonsense\n"
    )
    await migrate.upgrade(database.dsn, folder=steps.path)
    assert await tables(database) == {"mine", "alembic_version"}


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'.*env.py"),
        ("x = 1", "ran no migrations"),
        (SYNC_ENV.replace("connectable.connect()", "connectable.begin()"), "in a transaction"),
    ],
)
async def test_an_env_that_cannot_be_run_is_told(database: Database, steps: Steps, env: str, sentence: str) -> None:
    steps.sql("a1", "create table mine ()")
    (steps.path / "env.py").write_text(env)
    with pytest.raises(MigrationError, match=sentence):
        await migrate.status(database.dsn, folder=steps.path)
    assert await tables(database) == set()
