"""Restarts, and how long after an independent prober each writer is back."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import asyncpg

from dbpool.testing.proxying.proxy import FaultProxy
from tests.rigs.ledger.chaos import Chaos
from tests.rigs.ledger.cluster import Cluster
from tests.rigs.ledger.records import Fate, Reading

PROBE_S = 0.005
SETTLE_S = 1.0  # nothing else goes wrong while the writers come back
ENOUGH = 20  # samples, before a percentile says anything
MOST_NS = 10_000_000_000  # who is not back by then counts as late by that
MOST_MS = MOST_NS / 1e6
RECOVERY_MS = 250.0  # the goal, p99
STALE_NS = 100_000_000  # what was answered before the end may be noted a little later
BIRTH_NS = 4_000_000_000


@dataclass(frozen=True, slots=True)
class Restart:
    """On the machine's monotonic clock: when the server had ended, and when the prober had its first answer."""

    ended_ns: int
    probed_ns: int


@dataclass(slots=True)
class Restarting:
    """Now and then, by turns as ``pg_ctl`` does it with ``-m fast`` and ``-m immediate``."""

    cluster: Cluster
    proxy: FaultProxy
    chaos: Chaos
    luck: random.Random
    faults: Counter[int] = field(default_factory=Counter)
    restarts: list[Restart] = field(default_factory=list)

    async def once(self) -> None:
        row, number = self.luck.choice([(21, signal.SIGINT), (22, signal.SIGQUIT)])
        try:
            await self.chaos.hold()
            await self.cluster.stop(number)
            ended_ns = time.monotonic_ns()
            await self.cluster.start()
            probed_ns = await self._probed()
            self.restarts.append(Restart(ended_ns, probed_ns))
            self.faults[row] += 1
            await asyncio.sleep(SETTLE_S)
        finally:
            self.chaos.may_go_on.set()

    async def _probed(self) -> int:
        """Through the same proxy as everybody."""
        dsn = f"postgresql://postgres@{self.proxy.address}/postgres?sslmode=disable"
        deadline = time.monotonic() + 30
        while True:
            try:
                connection = await asyncpg.connect(dsn, timeout=5)
                try:
                    await connection.fetchval("select 1")
                    return time.monotonic_ns()
                finally:
                    await connection.close(timeout=1)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(PROBE_S)


def recoveries_ms(ledgers: Iterable[Path], restarts: Iterable[Restart]) -> list[float]:
    """For each writer and restart: its first acknowledged write after the prober's first answer; 0: it was before.

    A writer that had been killed shortly before is left out: it starts Python meanwhile; and so is who notes nothing
    more for that long, as at the rig's end.
    """
    restarts = list(restarts)
    found = []
    for ledger in ledgers:
        if not (records := list(Reading(ledger).records())):
            continue
        told = [record.at_ns for record in records if record.fate is Fate.ACK]
        births = [record.at_ns for record in records if record.fate is Fate.NONE]
        for restart in restarts:
            at = bisect_left(told, restart.ended_ns + STALE_NS)
            late_by = restart.probed_ns + MOST_NS
            back = min(told[at], late_by) if at < len(told) else late_by
            is_over = records[-1].at_ns < back
            if not is_over and not any(restart.probed_ns - BIRTH_NS < birth < back for birth in births):
                found.append(max(0.0, (back - restart.probed_ns) / 1e6))
    return found


def too_late(values: list[float]) -> list[str]:
    """What there is to say against recoveries, in milliseconds."""
    said = [
        f"a writer had no success for {MOST_MS / 1e3:.0f} s after the prober" for value in values if value >= MOST_MS
    ]
    if (most := p99(values)) is not None and most > RECOVERY_MS:
        said.append(f"the first success came {most:g} ms after the prober's (p99 of {len(values)})")
    return said


def p99(values: list[float]) -> float | None:
    """None: there are too few to say."""
    return round(quantiles(values, n=100, method="inclusive")[98], 1) if len(values) >= ENOUGH else None
