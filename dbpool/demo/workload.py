"""Many callers, few connections: each asks one query after the other."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from time import perf_counter

from dbpool import DatabasePool
from dbpool.connection import Record
from dbpool.demo.orders import DAYS, FIRST_DAY, Skew
from dbpool.demo.plan import DemoError, Plan
from dbpool.demo.report import Work

_ORDER = "SELECT id, customer_id, placed_at, status, amount_cents FROM orders WHERE id = $1"
_LATEST = """
    SELECT id, placed_at, status, amount_cents FROM orders WHERE customer_id = $1 ORDER BY placed_at DESC LIMIT 10
"""
_REVENUE = """
    SELECT count(*) AS orders, coalesce(sum(amount_cents), 0)::bigint AS amount_cents
    FROM orders WHERE customer_id = $1 AND status <> 'cancelled'
"""
_HOURS = """
    SELECT status, count(*) AS orders, sum(amount_cents)::bigint AS amount_cents
    FROM orders WHERE placed_at >= $1 AND placed_at < $1 + interval '6 hours' GROUP BY status
"""
_DRAWN = 10_000  # customers drawn beforehand: drawing one by one would cost as much as a query
_RECENT = 2_000  # finished queries that the live percentiles look at


@dataclass(frozen=True, slots=True)
class Latency:
    """How long queries took, in seconds, the wait for a connection included."""

    p50_s: float
    p90_s: float
    p99_s: float
    longest_s: float

    @classmethod
    def of(cls, seconds: array[float]) -> Latency | None:
        """The percentiles of *seconds*: each a value that was measured; None if there is none."""
        if not seconds:
            return None
        ordered = sorted(seconds)
        at = [ordered[-(-len(ordered) * hundredths // 100) - 1] for hundredths in (50, 90, 99, 100)]
        return cls(*at)


class Workload:
    """The callers; ``finished_s`` holds how long each finished query took."""

    def __init__(self, db: DatabasePool, plan: Plan) -> None:
        self._db = db
        self._plan = plan
        self._random = Random(f"callers {plan.seed}")
        self._customers = Skew(plan.seed, plan.customers).draw(self._random, _DRAWN)
        self._before = db.stats()
        self.finished_s: array[float] = array("d")
        self._total_s = 0.0
        self.started_at = perf_counter()
        self.took_s = 0.0

    async def run(self) -> None:
        """Let every caller ask until the time is up, then wait for the queries under way and in line."""
        self.started_at = perf_counter()
        ends_at = self.started_at + self._plan.seconds
        async with asyncio.TaskGroup() as callers:
            for _ in range(self._plan.callers):
                callers.create_task(self._ask_until(ends_at))
        self.took_s = perf_counter() - self.started_at

    def outcome(self) -> Work:
        """The numbers of all that has finished.

        Raises:
            DemoError: nothing has.
        """
        latency = Latency.of(self.finished_s)
        if latency is None:
            raise DemoError("No query finished: give the callers more --seconds.")
        return Work(
            queries=len(self.finished_s),
            queries_s=self.elapsed_s,
            throughput_per_s=len(self.finished_s) / self.elapsed_s,
            p50_ms=latency.p50_s * 1000,
            p90_ms=latency.p90_s * 1000,
            p99_ms=latency.p99_s * 1000,
            longest_ms=latency.longest_s * 1000,
            waited=self._db.stats().waited_total - self._before.waited_total,
            waited_share=self.waited_share(),
        )

    @property
    def elapsed_s(self) -> float:
        return self.took_s or perf_counter() - self.started_at

    def waited_share(self) -> float:
        """Of all the time that finished queries took, the part that was spent in line: 0..1."""
        if not self._total_s:
            return 0.0
        return min(1.0, (self._db.stats().waited_s_total - self._before.waited_s_total) / self._total_s)

    def recent(self) -> Latency | None:
        """The percentiles of the queries that finished last."""
        return Latency.of(self.finished_s[-_RECENT:])

    async def _ask_until(self, ends_at: float) -> None:
        while (started_at := perf_counter()) < ends_at:
            await self._ask()
            took_s = perf_counter() - started_at
            self.finished_s.append(took_s)
            self._total_s += took_s

    def _ask(self) -> Awaitable[list[Record]]:
        """One query of the mix: much looked up, little summed up, as a shop does it."""
        chance = self._random.random()
        if chance < 0.45:
            return self._db.fetch(_ORDER, int(self._random.random() * self._plan.orders) + 1)
        customer = self._customers[int(self._random.random() * _DRAWN)]
        if chance < 0.75:
            return self._db.fetch(_LATEST, customer)
        if chance < 0.92:
            return self._db.fetch(_REVENUE, customer)
        hours = int(self._random.random() * DAYS * 4) * 6
        return self._db.fetch(_HOURS, FIRST_DAY + timedelta(hours=hours))
