"""The SQL of steps, for somebody else to run."""

from __future__ import annotations

import asyncpg
import pytest

from dbpool import migrate
from dbpool.errors import MigrationError
from tests.migrations.test_folders import ASYNC_ENV, asked
from tests.support.databases import Database
from tests.support.migrationfolders import Steps


async def test_the_sql_of_all_steps_does_what_they_do(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table mine (x int default 7)")
    steps.add("b2", "op.add_column('mine', sa.Column('y', sa.Text, server_default='it''s'))", after="a1")
    text = await migrate.sql(folder=steps.path)
    connection = await asyncpg.connect(database.dsn)
    try:
        await connection.execute(text)
    finally:
        await connection.close()
    assert await migrate.current(database.dsn, folder=steps.path) == "b2"
    assert await asked(database, "select count(*) from pg_attribute where attrelid = 'mine'::regclass and attnum > 0")


async def test_a_range_has_its_steps_alone_and_can_be_taken_back(steps: Steps) -> None:
    for name, after in (("a1", None), ("b2", "a1"), ("c3", "b2")):
        steps.sql(name, f"create table t_{name} ()", f"drop table t_{name}", after=after)
    up = await migrate.sql("a1:b2", folder=steps.path)
    assert ("t_a1" in up, "t_b2" in up, "t_c3" in up) == (False, True, False)
    assert up.startswith("BEGIN;")
    down = await migrate.sql("c3:a1", folder=steps.path, down=True)
    assert down.index("drop table t_c3") < down.index("drop table t_b2")
    assert "t_a1" not in down


async def test_a_range_that_means_nothing_is_refused(steps: Steps) -> None:
    steps.sql("a1", "select 1")
    with pytest.raises(MigrationError, match="'zz'"):
        await migrate.sql("a1:zz", folder=steps.path)
    with pytest.raises(MigrationError, match="Say a range"):
        await migrate.sql("base", folder=steps.path, down=True)
    steps.sql("b2", "select 2", after="a1")
    for back in ("b2:a1", "b2:base"):
        with pytest.raises(MigrationError, match=r"no step leads up from b2 to .*: --down is for the way back"):
            await migrate.sql(back, folder=steps.path)
    assert "select" not in await migrate.sql("b2:head", folder=steps.path)


async def test_an_env_of_alembics_own_kind_makes_sql_too(steps: Steps) -> None:
    (steps.path / "env.py").write_text(ASYNC_ENV)
    steps.sql("a1", "create table mine ()")
    assert "create table mine ()" in await migrate.sql(folder=steps.path)


async def test_the_packages_own_tables_as_sql() -> None:
    assert "CREATE TABLE dbpool_job_chunk" in await migrate.sql()
