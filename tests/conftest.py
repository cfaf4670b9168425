"""Fixtures for all tests: one server a session, or a worker of it, and one database a test."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import hypothesis
import pytest

from dbpool import migrate
from dbpool.demo.shop import SHOP
from tests.support.databases import Database, administering, new_database
from tests.support.server import Choice, Server, choose, running

T = TypeVar("T")

hypothesis.settings.register_profile("dbpool", deadline=None)  # how long an example takes is the machine's affair
hypothesis.settings.load_profile("dbpool")

CHOICE = pytest.StashKey[Choice]()
USED = pytest.StashKey[set[str]]()  # the servers that tests ran on, in words


@pytest.hookimpl(tryfirst=True)  # the terminal's own asks for the report below
def pytest_collection_finish(session: pytest.Session) -> None:
    """Choose the server that the tests collected will use; tests that use none must not pay for the choice."""
    if any("server" in getattr(item, "fixturenames", ()) for item in session.items):
        session.config.stash[CHOICE] = choose(lambda text: _say(session.config, text))


def pytest_report_collectionfinish(config: pytest.Config) -> str:
    return f"server: {config.stash.get(CHOICE, None) or 'none needed'}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["servers"] = sorted(_used(session.config))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - xdist's end of a worker
    _used(node.config).update(getattr(node, "workeroutput", {}).get("servers", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for server in sorted(_used(config)):
        terminalreporter.write_line(f"server: {server}")


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """The session's PostgreSQL: ``.dsn(database)``, ``.admin``, ``.kind``. Each worker has one of its own."""
    choice = pytestconfig.stash.get(CHOICE, None) or choose()
    with running(choice) as server:
        _used(pytestconfig).add(f"{choice}, PostgreSQL {_run(_version(server))}")
        yield server


@pytest.fixture(scope="session")
def template(server: Server) -> Iterator[str]:
    """The name of a migrated database to clone; nobody may be connected to it."""
    name = f"dbpool_template_{os.getpid()}"
    _run(_execute(server, f'create database "{name}" template template0'))
    try:
        _run(migrate.upgrade(server.dsn(name)))
        _run(migrate.upgrade(server.dsn(name), folder=SHOP))
        yield name
    finally:
        _run(_execute(server, f'drop database "{name}" with (force)'))


@pytest.fixture
async def database(server: Server) -> AsyncIterator[Database]:
    """An empty database; a connection left over in it fails the test."""
    async with new_database(server) as database:
        yield database


@pytest.fixture
async def shop(server: Server, template: str) -> AsyncIterator[Database]:
    """A migrated database, without rows; a connection left over in it fails the test."""
    async with new_database(server, template) as database:
        yield database


def _used(config: pytest.Config) -> set[str]:
    return config.stash.setdefault(USED, set())


def _say(config: pytest.Config, text: str) -> None:
    """Show *text* at once, also from a worker, which has no terminal of its own."""
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        sys.stderr.write(f"{text}\n")


async def _version(server: Server) -> str:
    async with administering(server) as admin:
        return str(await admin.fetchval("show server_version"))


async def _execute(server: Server, sql: str) -> None:
    async with administering(server) as admin:
        await admin.execute(sql)


def _run(work: Coroutine[None, None, T]) -> T:
    """Run *work* to its end for a session's fixture, away from the event loop of the test that asked for it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
