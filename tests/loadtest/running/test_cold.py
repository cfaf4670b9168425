"""Loads whose pools open their connections when they are needed, on a real server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbpool.loadtest.load import DriverName, Target, shares_of
from dbpool.loadtest.recording.tally import Outcome
from tests.support.databases import Database
from tests.support.loads import SHORT, loaded, script
from tests.support.pools import role_in, witness_of

POOLS = [DriverName.DBPOOL, DriverName.ASYNCPG, DriverName.PSYCOPG_POOL]
COLD = replace(SHORT, warmup_s=0.0)
TEN_MS = script("select pg_sleep(0.01)")


@pytest.mark.parametrize("driver", POOLS)
async def test_a_cold_pool_opens_what_it_needs(database: Database, driver: DriverName) -> None:
    brought = await loaded(database.dsn, TEN_MS, COLD, driver=driver, connections=3, min_connections=0)
    (health,) = brought.healths
    assert brought.total.counts[Outcome.OK] == brought.total.due == health.done > 0
    assert not health.refusals


async def test_a_pool_that_is_refused_some_goes_on_with_what_it_has(database: Database) -> None:
    async with role_in(database, limit=2) as dsn:
        brought = await loaded(dsn, TEN_MS, COLD, connections=4, min_connections=0)
        (health,) = brought.healths
        assert brought.total.counts[Outcome.OK] > 0
        assert not brought.total.errors
        assert set(health.refusals) == {"53300.role_limit"}


async def test_a_pool_that_is_refused_all_waits_for_its_first(database: Database) -> None:
    async with role_in(database, limit=1) as dsn, witness_of(dsn):
        load = replace(COLD, timeout_s=0.3)
        brought = await loaded(dsn, TEN_MS, load, connections=4, min_connections=0)
    assert set(brought.total.counts) == {Outcome.TIMEOUT}
    assert set(brought.healths[0].refusals) == {"53300.role_limit"}


async def test_a_pool_that_may_not_connect_at_all_fails_each_transaction(database: Database) -> None:
    async with role_in(database) as dsn:
        wrong = dsn.replace(":pw@", ":wrong@")
        brought = await loaded(wrong, TEN_MS, COLD, connections=4, min_connections=0)
    assert set(brought.total.errors) == {"28P01.denied"}


def test_workers_share_what_is_open_beforehand() -> None:
    target = Target("", DriverName.DBPOOL, 5, min_connections=3)
    assert [share.target.first_connections for share in shares_of(target, SHORT, TEN_MS, 2)] == [2, 1]
    assert Target("", DriverName.DBPOOL, 5).first_connections == 5
