"""Fixtures for all tests: one server a session, or a worker of it, and one database a test.

They stand on those that users have, by the plugin that pytest loads wherever dbpool is installed.
"""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator

import hypothesis
import pytest

from dbpool import migrate
from dbpool.demo.shop import SHOP
from dbpool.testing.serverfixtures import Prepare
from tests.support.databases import Database, new_database
from tests.support.server import Server

hypothesis.settings.register_profile("dbpool", deadline=None)  # how long an example takes is the machine's affair
hypothesis.settings.load_profile("dbpool")


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    if "DATABASE_URL" in os.environ:  # which users' tests must never touch, and ours always have
        os.environ.setdefault("DBPOOL_TEST_DSN", os.environ["DATABASE_URL"])


def pytest_collection_finish() -> None:
    """Nine thousand tests are half a million objects, through which every ``gc.collect()`` of a test would go."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def server(dbpool_server: Server) -> Server:
    """The session's PostgreSQL: ``.dsn(database)``, ``.admin``, ``.kind``. Each worker has one of its own."""
    return dbpool_server


@pytest.fixture(scope="session")
def dbpool_prepare() -> Prepare:
    """The template has what this package's own migrations make, and the demo's."""

    async def prepare(dsn: str) -> None:
        await migrate.upgrade(dsn)
        await migrate.upgrade(dsn, folder=SHOP)

    return prepare


@pytest.fixture(scope="session")
def template(dbpool_template: str) -> str:
    """The name of a migrated database to clone; nobody may be connected to it."""
    return dbpool_template


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
