"""create_pool: what asyncpg.create_pool takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import asyncpg

from dbpool.compat.pool import AsyncpgPool

CLOSE_S = 5.0


def create_pool(
    dsn: str | None = None,
    *,
    init_size: int | None = None,
    min_size: int = 10,
    max_size: int = 10,
    max_queries: int = 50000,
    max_inactive_connection_lifetime: float = 300.0,
    connect: Callable[..., Awaitable[Any]] | None = None,
    setup: Callable[[Any], Awaitable[Any]] | None = None,
    init: Callable[[Any], Awaitable[Any]] | None = None,
    reset: Callable[[Any], Awaitable[Any]] | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
    connection_class: type[Any] = asyncpg.Connection,
    record_class: type[Any] = asyncpg.Record,
    **connect_kwargs: Any,
) -> AsyncpgPool:
    """A pool for code that was written for ``asyncpg.create_pool``: the same arguments, the same behaviour.

    To be used as ``async with create_pool(...) as pool`` or ``pool = await create_pool(...)``.

    Args:
        init_size: connections opened at first; None: *min_size*.
        min_size: connections kept when idle.
        max_queries: statements after which a connection is replaced.
        max_inactive_connection_lifetime: seconds after which an idle connection above *min_size* is closed; 0: never.
        connect: called instead of ``asyncpg.connect``.
        setup: called with each connection that is acquired.
        init: called with each new connection.
        reset: called with each connection that is released, instead of the reset query.
        connect_kwargs: for ``asyncpg.connect``, as *dsn*.
    Raises: ValueError or TypeError, as asyncpg does.
    """
    make: Any = asyncpg.Pool  # which checks all of it
    recipe = make(
        dsn,
        init_size=init_size,
        min_size=min_size,
        max_size=max_size,
        max_queries=max_queries,
        max_inactive_connection_lifetime=max_inactive_connection_lifetime,
        connect=connect,
        setup=setup,
        init=None if init is None else _losing_nothing(init),
        reset=reset,
        loop=loop,
        connection_class=connection_class,
        record_class=record_class,
        **connect_kwargs,
    )
    return AsyncpgPool(recipe)


def _losing_nothing(init: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    """*init*, and the connection is closed also where asyncpg would lose it."""

    async def initialize(connection: Any) -> None:
        try:
            await init(connection)
        except (Exception, asyncio.CancelledError):  # asyncpg closes it, and would wait for that without limit
            with suppress(Exception):
                await connection.close(timeout=CLOSE_S)
            raise
        except BaseException:
            connection.terminate()
            raise

    return initialize
