"""The real pool and the fake one keep one contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from dbpool import DatabasePool
from dbpool.leases import Leases
from dbpool.testing import FakePool, virtual_time
from tests.support import contract
from tests.support.databases import Database
from tests.support.pools import pool_of
from tests.testing import poolcontract


def answering() -> FakePool:
    """A fake pool that answers what the contract asks as a server does."""
    fake = FakePool(2, **poolcontract.OPTIONS)  # type: ignore[arg-type] # a mapping of several types
    fake.on(poolcontract.NUMBER, does=lambda n: [{"n": n}], takes=int)
    fake.on(poolcontract.TWICE, does=lambda n: [{"n": n, "twice": 2 * n}], takes=int)
    fake.on(poolcontract.SERIES, rows=[{"n": n} for n in (1, 2, 3)])
    fake.on(poolcontract.NOTHING, rows=[])
    fake.on(poolcontract.SLEEP, after=20)
    fake.on(poolcontract.FAILS, raises=asyncpg.DivisionByZeroError("division by zero"))
    fake.on(poolcontract.CONFLICTS, raises=asyncpg.SerializationError("conflict"))
    fake.on(poolcontract.KILLED, cuts=True)
    return fake


class TestRealPool(poolcontract.PoolContract):
    @pytest.fixture
    async def db(self, database: Database) -> AsyncIterator[DatabasePool]:
        async with pool_of(database, 2, **poolcontract.OPTIONS) as db:  # type: ignore[arg-type]
            yield db


class TestFakePool(poolcontract.PoolContract):
    @pytest.fixture
    async def db(self) -> AsyncIterator[DatabasePool]:
        with virtual_time():
            async with answering() as fake:
                yield fake


class TestFakePoolsDriver(contract.DriverContract):
    @pytest.fixture
    async def leases(self) -> AsyncIterator[Leases]:
        with virtual_time():
            async with FakePool(2) as fake:
                fake.on(contract.NUMBER, does=lambda n: [{"n": n}], takes=int)
                fake.on(contract.SLEEP, after=1e9)
                fake.on(contract.FAILS, raises=asyncpg.DivisionByZeroError("division by zero"))
                yield fake._leases  # noqa: SLF001 - no user has them
