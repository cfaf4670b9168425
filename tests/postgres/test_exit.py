"""A process that ends with an open pool ends at once, whatever the pool was doing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.databases import Database

PROGRAM = """
import asyncio, sys
from dbpool import DatabasePool

async def main() -> None:
    db = DatabasePool(sys.argv[1], 2, min_connections=2)
    await db.open()
    {does}

asyncio.run(main())
print("ended")
"""
DOES = {
    "nothing": "pass",
    "a statement": "asyncio.create_task(db.fetch('select pg_sleep(60)')); await asyncio.sleep(0.1)",
    "a lease": "global lease; lease = db.acquire(); await lease.__aenter__()",
    "a listener": "global it; it = db.listen('c'); await it.__aenter__()",
}


@pytest.mark.parametrize("does", DOES)
async def test_it_does_not_hang(database: Database, does: str) -> None:
    program = PROGRAM.format(does=DOES[does])
    ended = subprocess.run(  # noqa: ASYNC221 - nothing else is to be done meanwhile
        [sys.executable, "-c", program, database.dsn], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "ended\n")
    # where a statement was under way, its cleanup is cut off with the loop, and asyncio tells of that
    assert does == "a statement" or "Traceback" not in ended.stderr
