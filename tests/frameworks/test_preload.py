"""A pool in a program that forks its workers, as servers that preload an application do."""

from __future__ import annotations

from tests.support.databases import Database
from tests.support.serving import program

PRELOADED = """
import asyncio, os, sys
from dbpool import DatabasePool

db = DatabasePool.from_env()  # not open: it may be made before the fork

async def serve():
    async with db:
        return await db.fetchval("select pg_backend_pid()")

workers = 2
for _ in range(workers):
    if os.fork() == 0:
        print("served by", asyncio.run(serve()), flush=True)
        os._exit(0)
for _ in range(workers):
    assert os.wait()[1] == 0
"""

OPENED_TOO_EARLY = """
import asyncio, os
from dbpool import DatabasePool

loop = asyncio.new_event_loop()
db = loop.run_until_complete(DatabasePool.from_env().open())
if os.fork() == 0:
    try:
        asyncio.run(db.fetchval("select 1"))
    except Exception as error:
        print(type(error).__name__, error, flush=True)
    os._exit(0)
os.wait()
print("the parent's", loop.run_until_complete(db.fetchval("select 1")))
loop.run_until_complete(db.close())
"""


async def test_a_pool_made_before_the_fork_is_opened_by_each_worker(database: Database) -> None:
    async with program("-c", PRELOADED, dsn=database.dsn) as parent:
        assert await parent.end() == 0, parent.log
    assert len(set(parent.log.splitlines())) == 2


async def test_a_pool_opened_before_the_fork_is_refused_in_the_worker_and_works_in_the_parent(
    database: Database,
) -> None:
    async with program("-c", OPENED_TOO_EARLY, dsn=database.dsn) as parent:
        assert await parent.end() == 0, parent.log
    assert "UsageError" in parent.log
    assert "make a pool after the fork" in parent.log
    assert "the parent's 1" in parent.log
