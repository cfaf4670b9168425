"""What was found out about statements, kept for the next who use them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeAlias

from dbpool.bulk.guard import BatchPlan, examine
from dbpool.connection import PooledConnection
from dbpool.core.batches import Form, Text
from dbpool.core.columns import Args

MOST = 1000  # statements
KEPT_S = 3600.0  # tables grow, indexes come and go

Key: TypeAlias = tuple[str, bool, Form | None]


class Plans:
    """The plans of a pool's statements."""

    def __init__(self) -> None:
        self._plans: OrderedDict[Key, tuple[BatchPlan, float]] = OrderedDict()

    def get(self, key: Key, now: float) -> BatchPlan | None:
        found = self._plans.get(key)
        return None if found is None or now - found[1] > KEPT_S else found[0]

    def keep(self, key: Key, plan: BatchPlan, now: float) -> None:
        self._plans[key] = plan, now
        self._plans.move_to_end(key)
        if len(self._plans) > MOST:
            self._plans.popitem(last=False)

    def forget(self, key: Key) -> None:
        self._plans.pop(key, None)

    async def find(
        self, connection: PooledConnection, key: Key, text: Text, samples: Sequence[Args], now: float
    ) -> BatchPlan:
        """The plan of ``key``; made now if there is none. Arguments and errors are those of ``examine``."""
        sql, first_row, asked = key
        plan = self.get(key, now)
        if plan is None:
            plan = await examine(connection, sql, text, samples, first_row=first_row, asked=asked)
            self.keep(key, plan, now)
        return plan
