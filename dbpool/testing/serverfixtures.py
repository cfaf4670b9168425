"""The fixtures that need no event loop of the test's: a server, a template, a database."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from dbpool.errors import DbPoolError
from dbpool.faults import one_line
from dbpool.testing.administrator import Administrator
from dbpool.testing.databases import described, new_name
from dbpool.testing.plugin import CHOICE, PLAN, chosen, used
from dbpool.testing.server import Server, running

Prepare: TypeAlias = Callable[[str], Any]

LEAVE_S = 5.0  # for the sessions of whoever prepared a template


@pytest.fixture(scope="session")
def dbpool_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """The session's PostgreSQL: ``.dsn(database)``, ``.admin``, ``.kind``. Each xdist worker has one of its own."""
    choice = pytestconfig.stash.get(CHOICE, None) or chosen(pytestconfig.stash[PLAN], pytestconfig)
    with _told_in_a_sentence(f"no PostgreSQL for tests by {choice}"):
        context = running(choice)
        server = context.__enter__()
    try:
        yield server
    finally:
        context.__exit__(None, None, None)


@pytest.fixture(scope="session")
def dbpool_administrator(dbpool_server: Server, pytestconfig: pytest.Config) -> Iterator[Administrator]:
    """What makes and drops databases."""
    administrator = Administrator(dbpool_server)
    try:
        with _told_in_a_sentence("the server for tests cannot be used"):
            version = administrator.run(administrator.value("show server_version"))
        choice = pytestconfig.stash.get(CHOICE, dbpool_server.kind)
        used(pytestconfig).add(f"{choice}, PostgreSQL {version}")
        yield administrator
    finally:
        administrator.close()


@pytest.fixture(scope="session")
def dbpool_prepare(pytestconfig: pytest.Config) -> Prepare | None:
    """What fills the template, called with its DSN: a function, async or not; None: tests begin with nothing.

    Write a fixture of this name to prepare it yourself; this one does what ``dbpool_migrations`` says.
    """
    migrations = pytestconfig.stash[PLAN].migrations
    if migrations is None:
        return None
    scripts = [migrations] if migrations.is_file() else sorted(migrations.glob("*.sql"))
    return lambda dsn: _migrate(dsn, scripts, migrations)


@pytest.fixture(scope="session")
def dbpool_template(
    dbpool_server: Server, dbpool_administrator: Administrator, dbpool_prepare: Prepare | None
) -> Iterator[str | None]:
    """The name of the database of which each test gets a clone; None: each gets an empty one."""
    if dbpool_prepare is None:
        yield None
        return
    administrator, name = dbpool_administrator, new_name("template")
    administrator.run(administrator.execute(f'create database "{name}" template template0'))
    try:
        with _told_in_a_sentence("the template for tests could not be prepared"):
            prepared = dbpool_prepare(dbpool_server.dsn(name))
            if inspect.isawaitable(prepared):
                administrator.run(_awaited(prepared))
        if left := administrator.wait_left(name, LEAVE_S):
            pytest.fail(f"connections to the template are left open by dbpool_prepare:{described(left)}", pytrace=False)
        yield name
    finally:
        administrator.forget(name)
        administrator.drop(name)


@pytest.fixture(scope="session")
def dbpool_shared_database(
    dbpool_server: Server, dbpool_administrator: Administrator, dbpool_template: str | None
) -> Iterator[str]:
    """The DSN of one database for all tests that leave it as it was: see ``dbpool_sandbox``."""
    name = dbpool_administrator.new_database(dbpool_template)
    yield dbpool_server.dsn(name)
    dbpool_administrator.drop_soon(name)


@pytest.fixture
def dbpool_options() -> Mapping[str, Any]:
    """Settings of the pools that fixtures make, as keyword arguments of DatabasePool: write a fixture of this name.

    They come after those of ``dbpool_settings`` and before those of a test's own mark ``dbpool``.
    """
    return {}


@pytest.fixture
def dbpool_database(
    dbpool_server: Server, dbpool_administrator: Administrator, dbpool_template: str | None, pytestconfig: pytest.Config
) -> Iterator[str]:
    """The DSN of a database of the test's own, a clone of the template; who is left in it fails the test."""
    administrator, plan = dbpool_administrator, pytestconfig.stash[PLAN]
    with _told_in_a_sentence("no database for this test"):
        name = administrator.new_database(dbpool_template)
    try:
        yield dbpool_server.dsn(name)
    finally:
        left = administrator.wait_left(name, plan.patience_s)
        administrator.drop_soon(name)
    if left:
        pytest.fail(f"the test has left sessions in its database:{described(left)}", pytrace=False)


@contextmanager
def _told_in_a_sentence(what: str) -> Iterator[None]:
    """Have whatever goes wrong fail the test, or all of them, with a sentence instead of a traceback."""
    try:
        yield
    except Exception as error:
        text = str(error) if isinstance(error, DbPoolError) else one_line(error)
        script = "".join(getattr(error, "__notes__", ()))
        raise pytest.fail.Exception(f"{what}: {script}{text}", pytrace=False) from None


async def _awaited(work: Any) -> Any:  # noqa: ANN401 - anything that can be awaited
    return await work


async def _migrate(dsn: str, scripts: Sequence[Path], folder: Path) -> None:
    if not scripts:
        from dbpool import migrate

        await migrate.upgrade(dsn, folder=folder)
        return
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        for script in scripts:
            try:
                await connection.execute(script.read_text("utf-8"))
            except Exception as error:
                error.add_note(f"{script.name}: ")
                raise
    finally:
        await connection.close()
