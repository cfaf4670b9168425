"""The fixtures that live in a test's event loop; for pytest-asyncio, in either of its modes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from dbpool.errors import DbPoolError
from dbpool.pool import DatabasePool
from dbpool.testing.leftovers import Leftovers
from dbpool.testing.plan import checked_options
from dbpool.testing.plugin import PLAN

if TYPE_CHECKING:
    from dbpool.testing.fake.pool import FakePool
    from dbpool.testing.proxying.proxy import FaultProxy
    from dbpool.testing.rollback.pool import Sandbox
    from dbpool.testing.virtualtime import VirtualTime


@pytest_asyncio.fixture
async def dbpool(
    dbpool_database: str, dbpool_options: Mapping[str, Any], request: pytest.FixtureRequest
) -> AsyncIterator[DatabasePool]:
    """An open pool on a database of the test's own; what the test leaves in it fails the test."""
    plan = request.config.stash[PLAN]
    db = DatabasePool(dbpool_database, **_options(request, dbpool_options))
    await _opened(db)
    leftovers = Leftovers(db)
    try:
        yield db
        left = await leftovers.described(plan.patience_s)
    finally:
        await db.close(timeout=plan.patience_s)
    if left:
        pytest.fail(f"the test has left something in its pool:\n  {left}", pytrace=False)


@pytest_asyncio.fixture
async def dbpool_sandbox(
    dbpool_shared_database: str, dbpool_options: Mapping[str, Any], request: pytest.FixtureRequest
) -> AsyncIterator[Sandbox]:
    """A pool whose every call runs in one transaction, which is rolled back after the test: see ``sandbox``."""
    from dbpool.testing.rollback.pool import sandbox

    db = DatabasePool(dbpool_shared_database, **_options(request, dbpool_options))
    async with sandbox(db) as box:
        yield box


@pytest_asyncio.fixture
async def dbpool_proxy(dbpool_database: str) -> AsyncIterator[FaultProxy]:
    """A proxy before the test's own database, for pools that connect to ``dbpool_proxy.dsn()``."""
    from dbpool.testing.proxying.proxy import proxy_before

    async with proxy_before(dbpool_database) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def virtual_time() -> AsyncIterator[VirtualTime]:
    """Time that passes in no time, in this test: see ``dbpool.testing.virtual_time``."""
    from dbpool.testing.virtualtime import virtual_time as virtually

    with virtually() as time:
        yield time


@pytest_asyncio.fixture
async def dbpool_fake(
    virtual_time: VirtualTime, dbpool_options: Mapping[str, Any], request: pytest.FixtureRequest
) -> AsyncIterator[FakePool]:
    """An open ``FakePool``, in virtual time; what the test leaves in it, or had not scripted, fails the test."""
    from dbpool.testing.fake.pool import FakePool

    async with FakePool(**_options(request, dbpool_options)) as fake:
        leftovers = Leftovers(fake)
        yield fake
        left = await leftovers.described(request.config.stash[PLAN].patience_s)
    if left:
        pytest.fail(f"the test has left something in its pool:\n  {left}", pytrace=False)


def _options(request: pytest.FixtureRequest, options: Mapping[str, Any]) -> Mapping[str, Any]:
    mark = request.node.get_closest_marker("dbpool")
    of_test = {} if mark is None else mark.kwargs
    if mark is not None and mark.args:
        raise pytest.fail.Exception("the mark dbpool takes settings by name, as max_connections=1", pytrace=False)
    try:
        return checked_options({**request.config.stash[PLAN].options, **options, **of_test})
    except DbPoolError as error:
        raise pytest.fail.Exception(f"the pool for this test: {error}", pytrace=False) from None


async def _opened(db: DatabasePool) -> None:
    try:
        await db.open()
    except DbPoolError as error:
        raise pytest.fail.Exception(f"no pool for this test: {error}", pytrace=False) from None
