"""Liveness and readiness, for what starts, stops and balances processes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from dbpool.pool import DatabasePool
from dbpool.web.verdict import State
from dbpool.web.watch import Watch

PATIENCE_S: Final = 1.0  # what a Kubernetes probe waits unless told otherwise
APART_S: Final = 1.0  # probes are answered without a token: so the server is asked no more often than this

READY: Final = (State.OPEN, State.PAUSED)  # callers of a paused pool wait, to be served when it is resumed
REASONS: Final = {
    State.NEW: "the pool is not open yet",
    State.OPENING: "the pool is being opened",
    State.UNREACHABLE: "the database server cannot be reached",
    State.CLOSING: "the pool is being closed",
    State.CLOSED: "the pool is closed",
    State.FORKED: "the pool is of no use in a forked process",
}
UNANSWERED: Final = "a test statement was not answered in time"


class Readiness:
    """Says whether a pool can serve.

    By default it looks only. In an outage a pool that nobody asks for a connection tries no more, and nobody asks one
    that is not ready: so then this asks the server, as always if *deep*: once a second for all who want to know.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._answer: str | None = None

    async def reason(self, *, deep: bool) -> str | None:
        """Why it cannot serve; None: it can. Takes a second at the most."""
        db = self._watch.db
        if db is not None and (self._watch.state is State.UNREACHABLE or (deep and self._watch.state is State.OPEN)):
            try:
                async with asyncio.timeout(PATIENCE_S):
                    answer = await self._ask(db)
            except TimeoutError:
                answer = UNANSWERED
            if deep and answer is not None:
                return REASONS.get(self._watch.state, answer)
        return REASONS.get(self._watch.state)

    async def _ask(self, db: DatabasePool) -> str | None:
        async with self._asking:
            clock = asyncio.get_running_loop().time
            if clock() - self._asked_at < APART_S:
                return self._answer
            self._answer = UNANSWERED  # if this is cut short
            try:
                with suppress(Exception):  # whatever it is, the pool cannot serve
                    await db.fetchval("select 1", timeout=PATIENCE_S)
                    self._answer = None
            finally:
                self._asked_at = clock()
            return self._answer
