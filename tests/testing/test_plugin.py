"""The plugin as users have it: a pytest of their own, in a project of their own."""

from __future__ import annotations

import subprocess
import sys

from tests.support.userproject import AUTO, Project, project

__all__ = ["project"]

WORKS = """
import pytest
from dbpool import DatabasePool

SEEN = []

async def test_the_pool_is_open(dbpool: DatabasePool) -> None:
    SEEN.append(await dbpool.fetchval("select current_database()"))
    await dbpool.execute("create table t (a int)")

async def test_each_test_has_a_database_of_its_own(dbpool, dbpool_database: str) -> None:
    name = await dbpool.fetchval("select current_database()")
    assert name not in SEEN
    assert name in dbpool_database
    assert await dbpool.fetchval("select to_regclass('t') is null")

@pytest.mark.dbpool(max_connections=2, query_timeout=3)
async def test_a_mark_sets_the_pool(dbpool) -> None:
    assert (dbpool.settings.max_connections, dbpool.settings.query_timeout) == (2, 3)

def test_a_database_needs_no_event_loop(dbpool_database: str) -> None:
    assert dbpool_database.startswith("postgresql://")
"""

STRICT = """
import asyncio
import pytest
pytestmark = pytest.mark.asyncio
""" + WORKS.replace("def test_a_database", "async def test_a_database")

LEAKS = """
import asyncio, asyncpg

KEPT = []

async def test_forgets_to_release(dbpool):
    connection = await dbpool.acquire()
    await connection.fetchval("select 1")

async def test_holds_on(dbpool):
    connection = await dbpool.acquire()
    await connection.fetchval("select 42")
    KEPT.append(connection)

async def test_leaves_a_task(dbpool):
    async def forever():
        async with dbpool.acquire() as connection:
            await connection.fetchval("select 43")
            await asyncio.Event().wait()
    KEPT.append(asyncio.create_task(forever()))
    await asyncio.sleep(0.1)

async def test_leaves_a_session(dbpool_database):
    KEPT.append(await asyncpg.connect(dbpool_database, server_settings={"application_name": "left over"}))

async def test_is_clean(dbpool):
    assert await dbpool.fetchval("select 1") == 1
"""

PREPARED = """
import pytest, asyncpg

@pytest.fixture(scope="session")
def dbpool_prepare():
    async def prepare(dsn):
        connection = await asyncpg.connect(dsn)
        await connection.execute("create table users (id int primary key, name text)")
        await connection.close()
    return prepare

@pytest.fixture
def dbpool_options():
    return {"server_settings": {"application_name": "the users' own"}}
"""

CLONED = """
import pytest

@pytest.mark.parametrize("round", range(4))
async def test_each_test_begins_with_the_template(dbpool, round):
    await dbpool.execute("insert into users values (1, 'Ada')")
    assert await dbpool.fetchval("select count(*) from users") == 1

@pytest.mark.parametrize("round", range(3))
async def test_a_sandbox_stores_nothing(dbpool_sandbox, round):
    await dbpool_sandbox.execute("insert into users values (1, 'Ada')")
    assert await dbpool_sandbox.fetchval("select count(*) from users") == 1
"""


def test_a_pool_for_each_test_in_auto_mode(project: Project) -> None:
    ended = project(plugins=(), test_it=WORKS)  # loaded by pytest itself, as everywhere where dbpool is installed
    assert (ended.code, ended.counts()) == (0, {"passed": 4}), ended.text
    assert "dbpool: server url (--dbpool-dsn says so)" in ended.text
    assert "dbpool server: url (--dbpool-dsn says so), PostgreSQL" in ended.text


def test_a_pool_for_each_test_in_strict_mode_with_settings_of_the_ini_file(project: Project) -> None:
    settings = "dbpool_settings =\n  query_timeout = 7.5\n  coalesce = true"
    test = "@pytest.mark.asyncio\nasync def test_set(dbpool):\n    assert dbpool.settings.query_timeout == 7.5\n"
    files = {"test_it": STRICT, "test_set": f"import pytest\n{test}    assert dbpool.settings.coalesce"}
    ended = project(ini=f"{AUTO.replace('auto', 'strict')}\n{settings}", **files)
    assert (ended.code, ended.counts()) == (0, {"passed": 5}), ended.text


def test_workers_of_xdist_do_not_meet(project: Project) -> None:
    ended = project("-n", "2", test_it=CLONED, test_other=CLONED, conftest=PREPARED)
    assert (ended.code, ended.counts()) == (0, {"passed": 14}), ended.text
    assert "dbpool server: url" in ended.text


def test_a_test_that_leaves_something_fails_with_the_report(project: Project) -> None:
    ended = project(test_it=LEAKS, ini=f"{AUTO}\ndbpool_patience = 0.2")
    assert (ended.code, ended.counts()) == (1, {"passed": 5, "error": 4}), ended.text
    assert "a connection acquired at" in ended.text
    assert "test_it.py:7 in test_forgets_to_release was never released" in ended.text
    assert "test_it.py:11 in test_holds_on, SQL: select 42" in ended.text
    assert "in test_leaves_a_task.<locals>.forever, SQL: select 43" in ended.text
    assert "the test has left sessions in its database" in ended.text
    assert "'application_name': 'left over'" in ended.text


def test_scripts_in_a_folder_make_the_template(project: Project) -> None:
    scripts = {
        "1_users.sql": "create table users (id int primary key);",
        "2_name.sql": "alter table users add name text",
    }
    ended = project(test_it=CLONED, migrations=scripts, ini=f"{AUTO}\ndbpool_migrations = migrations")
    assert (ended.code, ended.counts()) == (0, {"passed": 7}), ended.text
    assert "migrations" in ended.text


def test_a_template_that_cannot_be_made_says_why(project: Project) -> None:
    wrong = {"1.sql": "create table users (id int)", "2.sql": "create tabel orders (id int)"}
    ended = project(test_it=CLONED, migrations=wrong, ini=f"{AUTO}\ndbpool_migrations = migrations")
    assert ended.code == 1
    assert "the template for tests could not be prepared: 2.sql: PostgresSyntaxError" in ended.text
    assert "Traceback" not in ended.text
    assert "During handling" not in ended.text


def test_an_embedded_server_is_there_for_who_asks(project: Project) -> None:
    ended = project("--dbpool-server", "embedded", test_it=WORKS, is_ours=False)
    assert (ended.code, ended.counts()) == (0, {"passed": 4}), ended.text
    assert "dbpool server: embedded (--dbpool-server says so), PostgreSQL" in ended.text


MARKED = """
import pytest

@pytest.mark.dbpool(max_conections=1)
async def test_misspelt(dbpool) -> None: ...

@pytest.mark.dbpool(1)
async def test_nameless(dbpool) -> None: ...
"""


def test_a_mark_that_means_nothing_is_said_in_a_sentence(project: Project) -> None:
    ended = project(test_it=MARKED)
    assert (ended.code, ended.counts()) == (1, {"error": 2}), ended.text
    assert "the pool for this test: unknown setting 'max_conections'" in ended.text
    assert "the mark dbpool takes settings by name" in ended.text
    assert "During handling" not in ended.text


def test_what_cannot_be_is_said_in_a_sentence(project: Project) -> None:
    wrong = {
        ("--dbpool-server", "sqlite"): "--dbpool-server should be container, embedded, url or auto, not 'sqlite'",
        ("-o", "dbpool_migrations=nowhere"): "dbpool_migrations: there is no ",
        ("-o", "dbpool_settings=colour=red"): "dbpool_settings: unknown setting colour",
    }
    for arguments, sentence in wrong.items():
        ended = project(*arguments, test_it=WORKS, is_ours=False)
        assert ended.code == 4, ended.text
        assert f"ERROR: {sentence}" in ended.text
        assert "Traceback" not in ended.text


def test_a_server_that_is_not_there_is_told_without_its_password(project: Project) -> None:
    ended = project("--dbpool-dsn", "postgresql://app:secret@127.0.0.1:1/x", test_it=WORKS, is_ours=False)
    assert (ended.code, ended.counts()) == (1, {"error": 4}), ended.text
    assert "the server for tests cannot be used: " in ended.text
    assert "secret" not in ended.text


def test_without_pytest_asyncio_the_pool_says_what_is_missing(project: Project) -> None:
    test = "def test_it(dbpool): pass\ndef test_other(dbpool_database): assert dbpool_database"
    ended = project(plugins=("-p", "dbpool"), test_it=test, ini="")
    assert ended.counts() == {"passed": 1, "error": 1}, ended.text
    assert "the fixture dbpool needs pytest-asyncio: pip install 'dbpool[testing]'" in ended.text


def test_the_plugin_imports_nothing_that_no_fixture_has_asked_for() -> None:
    heavy = {
        "docker",
        "pytest_asyncio",
        "testcontainers",
        "sqlalchemy",
        "alembic",
        "dbpool.embedded",
        "dbpool.bulk.map",
    }
    program = f"import sys, dbpool.testing.plugin; print(sorted({heavy} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert ended.stdout.strip() == "[]"
