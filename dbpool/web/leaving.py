"""Whether the server that runs this process is about to leave: it waits for responses that are still open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

DEEPEST = 12  # coroutines that await each other; uvicorn's own is the fourth at most


def is_server_leaving() -> Callable[[], bool]:
    """Look for uvicorn's server among the tasks of this loop; what is returned says whether it has been told to end.

    ASGI tells an application that the server ends only when all responses are complete. Other servers tell it by
    ``http.disconnect``; for them what is returned is always False.
    """
    servers = [server for task in asyncio.all_tasks() for server in _servers(task)]
    return lambda: any(server.should_exit for server in servers)


def _servers(task: asyncio.Task[Any]) -> Iterator[Any]:
    awaitable: Any = task.get_coro()
    for _ in range(DEEPEST):
        frame = getattr(awaitable, "cr_frame", None)
        if frame is None:
            return
        if frame.f_globals.get("__name__") == "uvicorn.server":
            owner = frame.f_locals.get("self")
            if isinstance(getattr(owner, "should_exit", None), bool):
                yield owner
                return
        awaitable = awaitable.cr_await
