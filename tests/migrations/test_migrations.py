"""Every migration goes up, down and up again, on a real server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import traceback
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest

from dbpool import migrate
from dbpool.demo.shop import SHOP
from dbpool.errors import MigrationError
from tests.support.databases import Database

ROOT = Path(__file__).parents[2]

FOLDERS = pytest.mark.parametrize("folder", [None, SHOP], ids=["own", "shop"])

# Everything in the public schema that a migration can make, as the server itself would write it.
EVERYTHING = """
select 'column' as kind, c.relname as of, a.attname as name,
       format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' || a.attidentity::text
       || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '') as definition
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where c.relkind in ('r', 'p', 'v', 'm') and c.relnamespace = 'public'::regnamespace
union all
select 'constraint', coalesce(conrelid::regclass::text, ''), conname, pg_get_constraintdef(oid)
from pg_constraint where connamespace = 'public'::regnamespace
union all
select 'index', tablename, indexname, indexdef from pg_indexes where schemaname = 'public'
union all
select 'sequence', '', sequencename, data_type::text from pg_sequences where schemaname = 'public'
union all
select 'function', '', proname, pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
union all
select 'type', '', typname, typtype::text from pg_type
where typnamespace = 'public'::regnamespace and typtype in ('e', 'd')
union all
select 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
order by 1, 2, 3, 4
"""


async def schema_of(database: Database) -> set[tuple[str, ...]]:
    """Return all that migrations made, without alembic's own tables."""
    connection = await asyncpg.connect(database.dsn)
    try:
        rows = await connection.fetch(EVERYTHING)
    finally:
        await connection.close()
    own = ("alembic_version", "dbpool_version")
    return {tuple(row) for row in rows if not (row["of"] + row["name"]).startswith(own)}


async def execute(database: Database, sql: str) -> None:
    connection = await asyncpg.connect(database.dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def refused(database: Database, sql: str) -> str:
    """Return the constraint that refuses *sql*."""
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
        await execute(database, sql)
    return str(caught.value.constraint_name)


async def test_a_database_never_migrated_has_no_revision(database: Database) -> None:
    assert await migrate.current(database.dsn) is None


async def test_up_makes_the_tables_of_jobs_and_nothing_else(database: Database) -> None:
    await migrate.upgrade(database.dsn)
    schema = await schema_of(database)
    tables = {of for kind, of, *_ in schema if kind == "column"}
    assert tables == {"dbpool_job", "dbpool_job_chunk", "dbpool_job_reject"}


async def test_up_makes_the_tables_with_their_indexes_and_constraints(shop: Database) -> None:
    schema = await schema_of(shop)
    assert {of for kind, of, *_ in schema if kind == "column"} == {
        *("customers", "orders", "accounts"),
        *("dbpool_job", "dbpool_job_chunk", "dbpool_job_reject"),
    }
    names = {name for kind, _, name, _ in schema if kind in ("constraint", "index")}
    assert names >= {
        "accounts_balance_cents_check",
        "customers_email_check",
        "customers_email_key",
        "dbpool_job_chunk_job_fkey",
        "dbpool_job_chunk_pkey",
        "dbpool_job_name_key",
        "dbpool_job_reject_job_fkey",
        "dbpool_job_reject_pkey",
        "dbpool_job_state_check",
        "orders_amount_cents_check",
        "orders_customer_id_fkey",
        "orders_customer_id_placed_at_idx",
        "orders_placed_at_idx",
        "orders_status_check",
    }


@pytest.mark.parametrize(
    ("sql", "constraint"),
    [
        ("insert into customers (email, name, region) values ('nobody', 'A', 'eu')", "customers_email_check"),
        (
            "insert into customers (email, name, region) select 'a@b.c', 'A', 'eu' from generate_series(1, 2)",
            "customers_email_key",
        ),
        ("insert into orders (customer_id, amount_cents) values (1, 5)", "orders_customer_id_fkey"),
        ("insert into orders (customer_id, amount_cents) values (1, -5)", "orders_amount_cents_check"),
        ("insert into orders (customer_id, amount_cents, status) values (1, 5, 'lost')", "orders_status_check"),
        ("insert into accounts (balance_cents) values (-1)", "accounts_balance_cents_check"),
    ],
)
async def test_the_shop_refuses_what_cannot_be(shop: Database, sql: str, constraint: str) -> None:
    assert await refused(shop, sql) == constraint


@FOLDERS
async def test_down_removes_everything(folder: Path | None, database: Database) -> None:
    await migrate.upgrade(database.dsn, folder=folder)
    await migrate.downgrade(database.dsn, "base", folder=folder)
    assert await schema_of(database) == set()
    assert await migrate.current(database.dsn, folder=folder) is None


@FOLDERS
async def test_each_step_goes_up_down_and_up_to_the_same_schema(folder: Path | None, database: Database) -> None:
    before = await schema_of(database)
    for step in steps(folder):
        await migrate.upgrade(database.dsn, step, folder=folder)
        after = await schema_of(database)
        await migrate.downgrade(database.dsn, "-1", folder=folder)
        assert await schema_of(database) == before, f"{step} does not take back all it did"
        await migrate.upgrade(database.dsn, step, folder=folder)
        assert await schema_of(database) == after
        before = after
    assert await migrate.current(database.dsn, folder=folder) == steps(folder)[-1]


def steps(folder: Path | None = None) -> list[str]:
    """Return the revisions in order."""
    return [revision.id for revision in migrate.history(folder)]


async def test_up_again_does_nothing(database: Database) -> None:
    await migrate.upgrade(database.dsn)
    before = await schema_of(database)
    await migrate.upgrade(database.dsn)
    assert await schema_of(database) == before


async def test_many_migrators_in_one_event_loop_at_once_all_succeed(database: Database) -> None:
    await asyncio.gather(*(migrate.upgrade(database.dsn) for _ in range(4)))
    assert await migrate.current(database.dsn) == steps()[-1]


async def test_migrators_in_several_processes_at_once_all_succeed(database: Database) -> None:
    children = [await start_alembic(database.dsn, "upgrade", "head") for _ in range(3)]
    outputs = [await child.communicate() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], outputs
    assert await migrate.current(database.dsn) == steps()[-1]


async def test_a_migrator_gives_up_when_another_keeps_the_database(database: Database) -> None:
    other = await asyncpg.connect(database.dsn)
    try:
        await other.execute("select pg_advisory_lock($1)", int.from_bytes(b"dbpool"))
        with pytest.raises(MigrationError, match="another migrator"):
            await migrate.upgrade(database.dsn, lock_timeout=0.1)
    finally:
        await other.close()
    await migrate.upgrade(database.dsn)


async def test_a_cancelled_migration_leaves_nothing_behind(database: Database) -> None:
    blocker, watcher = await asyncpg.connect(database.dsn), await asyncpg.connect(database.dsn)
    try:
        await blocker.execute("begin; create table dbpool_job ()")  # the migration waits for this name
        task = asyncio.create_task(migrate.upgrade(database.dsn))
        while not await watcher.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        ):
            assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await blocker.execute("rollback")
    finally:
        await blocker.close()
        await watcher.close()
    assert await schema_of(database) == set()
    await migrate.upgrade(database.dsn)


async def test_a_failed_step_says_why_and_leaves_nothing_behind(database: Database) -> None:
    await execute(database, "create table dbpool_job_reject ()")
    with pytest.raises(MigrationError, match=r'upgrade to .head. failed.* "dbpool_job_reject" already exists'):
        await migrate.upgrade(database.dsn)
    await execute(database, "drop table dbpool_job_reject")
    assert await schema_of(database) == set()


async def test_an_unknown_revision_is_a_migration_error(database: Database) -> None:
    with pytest.raises(MigrationError, match="nowhere"):
        await migrate.upgrade(database.dsn, "nowhere")


async def test_several_event_loops_in_threads_migrate_at_once(database: Database) -> None:
    def upgrade() -> None:
        asyncio.run(migrate.upgrade(database.dsn))

    await asyncio.gather(*(asyncio.to_thread(upgrade) for _ in range(3)))
    assert await migrate.current(database.dsn) == steps()[-1]


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://postgres:hunter2@127.0.0.1:1/shop",
        "postgresql://postgres:hunter2@nowhere.invalid/shop",
        "postgresql://postgres:hunter2/@127.0.0.1:1/shop",
        "postgresql://postgres:hunter2@127.0.0.1:port/shop",
        "postgresql://postgres@127.0.0.1:1/shop?password=hunter2&sslmode=maybe",
        "mysql://postgres:hunter2@127.0.0.1:1/shop",
        "hunter2",
    ],
)
async def test_no_error_shows_the_password(dsn: str) -> None:
    for action in (migrate.upgrade(dsn), migrate.downgrade(dsn, "base"), migrate.current(dsn)):
        with pytest.raises(MigrationError) as caught:
            await action
        shown = traceback.format_exception_only(caught.value) + traceback.format_exception_only(caught.value.__cause__)
        assert "hunter2" not in "".join(shown)


async def test_a_wrong_password_is_a_migration_error_without_it(database: Database) -> None:
    address, _, where = database.dsn.rpartition("@")
    if ":" not in address.removeprefix("postgresql://"):
        pytest.skip("this server asks for no password")
    dsn = f"{address.rpartition(':')[0]}:hunter%252@{where}"
    with pytest.raises(MigrationError, match="cannot connect") as caught:
        await migrate.current(dsn)
    assert "hunter" not in "".join(traceback.format_exception_only(caught.value))


async def test_the_url_reaches_alembic_through_the_environment_whatever_is_in_it(database: Database) -> None:
    role = f"o'%40 {os.getpid()}"  # roles belong to the whole server
    await execute(database, f"create role \"{role}\" superuser login password 'a%b/c@d'")
    try:
        where = database.dsn.rpartition("@")[2]
        url = f"postgresql+asyncpg://{quote(role, safe='')}:{quote('a%b/c@d', safe='')}@{where}"
        child = await start_alembic(url, "upgrade", "head")
        output, _ = await child.communicate()
        assert child.returncode == 0, output
        assert await migrate.current(database.dsn) == steps()[-1]
    finally:
        await execute(database, f'drop owned by "{role}" cascade; drop role "{role}"')


async def test_alembic_without_a_url_says_what_to_do() -> None:
    child = await start_alembic("", "current")
    output, _ = await child.communicate()
    assert child.returncode != 0
    assert b"DATABASE_URL" in output
    assert b"Traceback" not in output


async def start_alembic(url: str, *arguments: str) -> asyncio.subprocess.Process:
    """Start alembic's own command line at the repository's root."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "alembic", *arguments),
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
