"""The same lookups three ways: one by one, coalesced, mapped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from time import perf_counter

from dbpool import DatabasePool
from dbpool.demo.plan import Plan
from dbpool.demo.report import Speeds

_ORDER = "SELECT id, customer_id, status, amount_cents FROM orders WHERE id = $1"
LONGEST_S = 1.0  # of each way
_WARM_UP = 0.2  # of that: a text is sent alone until its form is known


class Racing:
    """Looks up one order after the other, for a part of the demo's seconds each way."""

    def __init__(self, db: DatabasePool, plan: Plan) -> None:
        self._db = db
        self._plan = plan
        self._random = Random(f"speeds {plan.seed}")
        self._seconds = min(LONGEST_S, plan.seconds / 2)

    async def run(self) -> Speeds:
        alone = await self._by_callers(coalesce=False)
        coalesced = await self._by_callers(coalesce=True)
        return Speeds(
            lookups_alone_per_s=alone, lookups_coalesced_per_s=coalesced, lookups_mapped_per_s=await self._by_map()
        )

    async def _by_callers(self, *, coalesce: bool) -> float:
        done = 0
        begins_at = perf_counter() + self._seconds * _WARM_UP
        ends_at = begins_at + self._seconds

        async def ask() -> None:
            nonlocal done
            while (now := perf_counter()) < ends_at:
                await self._db.fetchrow(_ORDER, self._any_order(), coalesce=coalesce)
                done += now >= begins_at

        async with asyncio.TaskGroup() as callers:
            for _ in range(self._plan.callers):
                callers.create_task(ask())
        return done / (perf_counter() - begins_at)

    async def _by_map(self) -> float:
        done = 0
        started_at = perf_counter()
        async for _ in self._db.map_row(_ORDER, self._orders_until(started_at + self._seconds)):
            done += 1
        return done / (perf_counter() - started_at)

    def _orders_until(self, ends_at: float) -> Iterator[int]:
        while perf_counter() < ends_at:
            for _ in range(100):
                yield self._any_order()

    def _any_order(self) -> int:
        return int(self._random.random() * self._plan.orders) + 1
