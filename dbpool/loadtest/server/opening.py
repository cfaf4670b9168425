"""Opens connections one at a time until one is refused, and says which limit that was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from dbpool.core.loadtest.refusals import LIMITS, Refusal, label_of
from dbpool.loadtest.drivers.failures import evidence_of, refusal_by
from dbpool.loadtest.drivers.protocol import now_ns
from dbpool.loadtest.server.connecting import (
    CONNECT_ERRORS,
    Session,
    application_name,
    close,
    close_all,
    connect,
    ensure_gone,
)
from dbpool.loadtest.server.limits import Limits
from dbpool.loadtest.server.memory import private_memory_mb

REUSE_S: Final = 5.0  # how long a slot may take to be free again before we give up
LIFELINE_EVERY: Final = 10  # connections


@dataclass(frozen=True, slots=True)
class Found:
    """What opening connections found.

    Args:
        reached: connections that were open at the same time, the lifeline included.
        refusal: why there were no more; None: *most* were open and none was refused.
        label: as results count it, like ``53300.server_full``.
        connect_ms: how long each connect took, in order.
        slot_reuse_ms: from the end of one session until another got in; None: not refused, or not in time.
        lifeline_ms: how long a query took meanwhile on the connection that was there before, in order.
        is_clean: every session that was opened has left.
        memory_mb: what a backend that did nothing yet has to itself; None: the server is elsewhere, or does not let us
            see.
    """

    reached: int
    refusal: Refusal | None
    label: str | None
    sqlstate: str | None
    connect_ms: tuple[float, ...]
    slot_reuse_ms: float | None
    lifeline_ms: tuple[float, ...]
    is_clean: bool
    memory_mb: float | None = None

    @property
    def words(self) -> str:
        """Which limit it was, in a sentence's part."""
        if self.refusal is None:
            return "none was refused"
        return LIMITS.get(self.refusal, self.refusal.value.replace("_", " "))


async def open_to_limit(
    dsn: str,
    run_id: str,
    lifeline: Session,
    limits: Limits,
    *,
    most: int | None = None,
    on_opened: Callable[[int], None] = lambda _: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Found:
    """Open connections to *dsn* until one is refused, then close all of them.

    One at a time, for a server checks a role's limit only roughly while several connect: two may refuse each other.

    Args:
        most: connections to open at the most, None: no limit but the server's.
        on_opened: called with the number open.
        is_stopped: asked before each.
    Cancelling: closes all of them before it propagates.
    """
    name = application_name(run_id, "probe")
    held: list[Session] = []
    connect_ms: list[float] = []
    lifeline_ms: list[float] = []
    error: BaseException | None = None
    reuse_ms: float | None = None
    memory_mb: float | None = None
    try:
        for number in count(1):
            if is_stopped() or (most is not None and number > most):
                break
            began = now_ns()
            try:
                held.append(await connect(dsn, name))
            except CONNECT_ERRORS as refused:
                error = refused
                break
            connect_ms.append((now_ns() - began) / 1e6)
            on_opened(number)
            if number % LIFELINE_EVERY == 1:
                lifeline_ms.append(await _ask(lifeline))
        if limits.is_local:
            memory_mb = private_memory_mb([session.get_server_pid() for session in held])
        if error is not None and held:
            reuse_ms = await _reuse(dsn, name, held)
    finally:
        await close_all(held)
    reached = len(connect_ms) + 1
    is_clean = limits.is_pooled or await ensure_gone(lifeline, name)  # a pooler keeps what it has opened
    evidence = None if error is None else evidence_of(error)
    refusal = None if error is None else refusal_by(error, role=limits.role, database=limits.database)
    return Found(
        reached=reached,
        refusal=refusal,
        label=None if evidence is None or refusal is None else label_of(evidence, refusal),
        sqlstate=None if evidence is None else evidence.sqlstate,
        connect_ms=tuple(connect_ms),
        slot_reuse_ms=reuse_ms,
        lifeline_ms=tuple(lifeline_ms),
        is_clean=is_clean,
        memory_mb=memory_mb,
    )


async def _ask(session: Session) -> float:
    began = now_ns()
    await session.fetchval("SELECT 1")
    return (now_ns() - began) / 1e6


async def _reuse(dsn: str, name: str, held: list[Session]) -> float | None:
    """End one session and connect again, as often as it takes; in ms. None: not within five seconds."""
    await close(held.pop())
    began = now_ns()
    while now_ns() - began < REUSE_S * 1e9:
        try:
            held.append(await connect(dsn, name))
        except CONNECT_ERRORS:
            await asyncio.sleep(0.001)
            continue
        return (now_ns() - began) / 1e6
    return None
