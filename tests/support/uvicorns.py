"""An ASGI app under a real uvicorn, in this event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn

from dbpool.web.asgi import App
from tests.support.pools import becomes


@dataclass
class Served:
    """Where it is; ``end`` ends it and returns once it has."""

    server: uvicorn.Server
    task: asyncio.Task[None]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def end(self) -> None:
        self.server.should_exit = True
        async with asyncio.timeout(20):
            await self.task


@asynccontextmanager
async def served(app: App, *, port: int = 0, root_path: str = "") -> AsyncIterator[Served]:
    """Serve *app* on loopback, by default on a free port, for the length of the block."""
    config = uvicorn.Config(app, port=port, root_path=root_path, log_config=None, lifespan="auto")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())  # noqa: SLF001 - serve() takes the process's signals
    await becomes(lambda: server.started or task.done())
    found = Served(server, task, server.servers[0].sockets[0].getsockname()[1])
    try:
        yield found
    finally:
        await found.end()
