"""The real driver keeps the contract on which the fake one of tests/loop is modelled."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dbpool.leases import Leases
from dbpool.settings import PoolSettings
from tests.support import contract
from tests.support.databases import Database


@pytest.fixture
async def leases(database: Database) -> AsyncIterator[Leases]:
    leases = Leases(PoolSettings.from_mapping({"dsn": database.dsn, "max_connections": 2}))
    await leases.open()
    yield leases
    await leases.close(5)
    assert (leases.gate.held, leases.gate.waiting, leases.driver.size) == (0, 0, 0)


class TestRealDriver(contract.DriverContract):
    pass
