"""Fixtures for all tests: one server a session, one database a test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from dbpool import migrate
from tests.support.databases import Database, administering, new_database
from tests.support.server import Choice, Server, choose, running

T = TypeVar("T")

CHOICE = pytest.StashKey[Choice]()
VERSION = pytest.StashKey[str]()


def pytest_report_collectionfinish(config: pytest.Config, items: Sequence[pytest.Item]) -> str:
    """Say which server the tests collected will use; tests that use none must not pay for the choice."""
    if not any("server" in getattr(item, "fixturenames", ()) for item in items):
        return "server: none needed"
    config.stash[CHOICE] = choose(config.get_terminal_writer().line)
    return f"server: {config.stash[CHOICE]}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if version := config.stash.get(VERSION, None):
        terminalreporter.write_line(f"server: {config.stash[CHOICE]}, PostgreSQL {version}")


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """The session's PostgreSQL: ``.dsn(database)``, ``.admin``, ``.kind``."""
    with running(pytestconfig.stash.get(CHOICE, None) or choose()) as server:
        pytestconfig.stash[VERSION] = _run(_version(server))
        yield server


@pytest.fixture(scope="session")
def template(server: Server) -> Iterator[str]:
    """The name of a migrated database to clone; nobody may be connected to it."""
    name = f"dbpool_template_{os.getpid()}"
    _run(_execute(server, f'create database "{name}" template template0'))
    try:
        _run(migrate.upgrade(server.dsn(name)))
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
