"""Callers of a gate, or of one of its lanes."""

from __future__ import annotations

import asyncio

from dbpool.entering import GateLane
from dbpool.gate import Gate
from tests.support.loops import now, settle


class Line:
    """Callers of one lane; ``through`` tells who got in, in order, and ``granted_at`` when."""

    def __init__(self, gate: GateLane) -> None:
        self.gate = gate
        self.through: list[str] = []
        self.granted_at: list[float] = []

    async def use(self, name: str, *, hold_s: float = 0.0, timeout: float | None = None) -> str:
        async with self.gate.enter(timeout=timeout):
            self.through.append(name)
            self.granted_at.append(now())
            if hold_s:
                await asyncio.sleep(hold_s)
        return name

    async def queue(self, *names: str, hold_s: float = 0.0, timeout: float | None = None) -> list[asyncio.Task[str]]:
        """Have them come in that order, and wait until each holds a permit or stands in line."""
        tasks = []
        for name in names:
            tasks.append(asyncio.create_task(self.use(name, hold_s=hold_s, timeout=timeout), name=name))
            await settle()
        return tasks


def assert_empty(gate: Gate) -> None:
    assert (gate.held, gate.waiting) == (0, 0)
