"""The server's own count of the pool's connections, which no bug of the pool can make look better."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dbpool import DatabasePool

EVERY_S = 0.2

# parallel workers carry their leader's name, but nobody has a connection to them
_COUNT = """
    SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND backend_type = 'client backend'
"""


@dataclass(slots=True)
class ServerCount:
    """What was seen so far."""

    now: int = 0
    most: int = 0
    looks: int = 0

    def add(self, connections: int) -> None:
        self.now = connections
        self.most = max(self.most, connections)
        self.looks += 1


@asynccontextmanager
async def watching(watcher: DatabasePool, application_name: str) -> AsyncIterator[ServerCount]:
    """Count the connections named *application_name* on the server, again and again until the block ends."""
    count = ServerCount()

    async def watch() -> None:
        while True:
            count.add(await watcher.fetchval(_COUNT, application_name))
            await asyncio.sleep(EVERY_S)

    task = asyncio.create_task(watch())
    try:
        yield count
    finally:
        task.cancel()
        await asyncio.wait([task])
        failure = None if task.cancelled() else task.exception()
    if failure is not None:
        raise failure
