"""Statements that nobody has any more are closed, and that has a time limit, too."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.databases import Database
from tests.support.pools import pool_of
from tests.support.proxy import Do, proxy_before


async def test_a_statement_closed_over_a_network_that_swallows_all_costs_its_caller_its_time(
    database: Database,
) -> None:
    """Found by a sweep: asyncpg closes it behind the next one's Parse, and would wait for the answer for ever."""
    async with (
        proxy_before(database.dsn) as proxy,
        pool_of(proxy.dsn(database.dsn), 1, query_timeout=0.3, reset_timeout=0.2, quarantine_timeout=0.3) as db,
    ):
        async with db.acquire() as connection:
            statement = await connection.prepare("select 2")
            del statement
            proxy.rule = lambda message: Do.STALL if message.name == "Close" else Do.PASS
            async with asyncio.timeout(8) as limit:
                with pytest.raises(TimeoutError):
                    await connection.prepare("select 3")
            assert not limit.expired()
        proxy.resume()
