"""The fake driver keeps the contract that the real one keeps: see tests/postgres/test_driver_contract.py."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from dbpool.leases import Leases
from tests.support import contract
from tests.support.fakes import open_pool
from tests.support.script import NEVER, Reply, Script


@pytest.fixture
async def leases() -> AsyncIterator[Leases]:
    replies = {
        contract.NUMBER: Reply(takes=int),
        contract.SLEEP: Reply(NEVER),
        contract.FAILS: Reply(error=asyncpg.DivisionByZeroError("division by zero")),
    }
    pool = await open_pool(2, Script(replies=replies))
    yield pool.leases
    await pool.leases.close(5)
    pool.driver.check()
    assert pool.driver.size == 0


class TestFakeDriver(contract.DriverContract):
    pass
