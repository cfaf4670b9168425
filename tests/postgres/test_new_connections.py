"""A connection that goes wrong in the instant in which it is made costs nobody a place in the pool."""

from __future__ import annotations

import pytest

from dbpool import DatabasePool, driver
from dbpool.testing import Damage
from tests.support.databases import Database
from tests.support.pools import pool_of, witness_of
from tests.support.proxy import proxy_before


async def test_a_connection_that_cannot_be_prepared_gives_its_place_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its socket is closed by then: found with a session cut at every byte."""
    tune = driver.tune
    failures = [OSError(9, "Bad file descriptor"), AttributeError("'NoneType' object has no attribute 'max_size'")]

    def fails_at_first(connection: object) -> None:
        if failures:
            raise failures.pop()
        tune(connection)  # type: ignore[arg-type] # whatever it is

    monkeypatch.setattr(driver, "tune", fails_at_first)
    async with witness_of(database) as witness:
        db = DatabasePool(database.dsn, 1, outage_patience=5.0)
        async with db:
            assert not failures
            assert await db.fetchval("select 1") == 1
            assert len(await witness.backends()) == 1
        await witness.until_alone()


async def test_a_server_that_does_not_say_how_it_reads_strings_is_served(database: Database) -> None:
    """Found by a session of which each message was lost in turn."""
    async with proxy_before(database.dsn) as proxy:
        lost = proxy.damage("ParameterStatus", Damage.LOST, says="standard_conforming_strings")
        async with pool_of(proxy.dsn(database.dsn), 1) as db:
            assert lost.has_happened
            assert await db.fetchval("select 1", timeout=5) == 1
