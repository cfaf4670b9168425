"""An attempt that stores all or nothing is made again where another one can succeed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from dbpool.connection import PooledConnection
from dbpool.core.retry import Backoff, Verdict, verdict
from dbpool.errors import ConnectionLost, ServerUnavailable
from dbpool.faults import is_conflict, sqlstate

T = TypeVar("T")

_RETRY = Backoff(first_s=0.02, cap_s=5.0)


class Connections(Protocol):
    """Where attempts get their connections."""

    def connection(self) -> AbstractAsyncContextManager[PooledConnection]:
        """One for the length of a block."""
        ...


async def tried(connections: Connections, tries: int, attempt: Callable[[PooledConnection], Awaitable[T]]) -> T:
    """What *attempt* returns, on a connection of its own each time.

    Tried again are conflicts and connections that were lost, at COMMIT too: an attempt must find out by itself that an
    earlier one was stored. Between attempts it waits with full jitter, 5 s at the most.

    Raises: the error of the last of *tries* attempts, or one that another attempt cannot mend.
    """
    for number in range(1, tries + 1):
        try:
            async with connections.connection() as connection:
                return await attempt(connection)
        except Exception as error:
            if not can_be_mended(error):
                raise
            if number == tries:
                error.add_note(f"in the last of {tries} tries")
                raise
        await asyncio.sleep(_RETRY.delay_s(number, random.random()))
    raise AssertionError(f"{tries} tries")


def can_be_mended(error: Exception) -> bool:
    """Whether another attempt may succeed, though nothing is changed."""
    if isinstance(error, (ConnectionLost, ServerUnavailable)) or is_conflict(error):
        return True
    state = sqlstate(error)
    return state is not None and verdict(state) in (Verdict.RETRY_TRANSACTION, Verdict.DISCARD)
