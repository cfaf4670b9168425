"""What makes the databases of tests leaves the server alone while it has nothing to do."""

from __future__ import annotations

import asyncio

from dbpool.testing.administrator import Administrator
from tests.support.databases import Database
from tests.support.pools import until, witness_of
from tests.support.server import Server


async def test_no_session_of_it_stays_and_it_comes_again(server: Server, database: Database) -> None:
    administrator = Administrator(server)
    try:
        async with witness_of(database) as witness:
            others = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
            before = await witness.value(others)
            for _ in range(2):
                name = await asyncio.to_thread(administrator.new_database, None)
                assert await asyncio.to_thread(administrator.wait_left, name, 1.0) == []
                administrator.drop_soon(name)

                async def is_alone() -> bool:
                    return bool(await witness.value(others) == before)

                await until(is_alone)
    finally:
        await asyncio.to_thread(administrator.close)
