"""What a server of several is and how far it has come, asked again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from dbpool.connection import PlainConnection

LOOK_EVERY_S = 0.1
AGAIN_S = 1.0  # after a failure
ANSWER_S = 1.0  # one that takes longer to say so little is left out

PLACE = "SELECT pg_catalog.pg_current_wal_insert_lsn()::text"
IS_PRIMARY = "primary"
REPLAYED = (
    f"SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0')::text "
    f"ELSE '{IS_PRIMARY}' END"
)


class Watcher:
    """Asks one server the same question by a connection of its own, and passes the answers on.

    Args:
        connect: opens it, in its own time limit.
        sql: a statement with one value.
        heard: told each value, and when it was asked for, by the loop's clock; None for no answer.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[PlainConnection[Any]]],
        sql: str,
        heard: Callable[[str | None, float], object],
    ) -> None:
        self._connect = connect
        self._sql = sql
        self._heard = heard
        self._connection: PlainConnection[Any] | None = None
        self._hurried = asyncio.Event()

    def hurry(self) -> None:
        """Ask now, if it is not asked already, nor silent."""
        self._hurried.set()

    async def watch(self) -> None:
        """Go on until cancelled."""
        try:
            while True:
                asked_at = asyncio.get_running_loop().time()
                try:
                    answer = await self._ask()
                except Exception:  # whatever it is, the server is of no use now
                    self._leave()
                    self._heard(None, asked_at)
                    await asyncio.sleep(AGAIN_S)
                else:
                    self._heard(answer, asked_at)
                    self._hurried.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_EVERY_S):
                            await self._hurried.wait()
        finally:
            self._leave()

    async def _ask(self) -> str | None:
        if self._connection is None:
            self._connection = await self._connect()
        async with asyncio.timeout(ANSWER_S):
            return await self._connection.fetchval(self._sql)  # type: ignore[no-any-return]

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
