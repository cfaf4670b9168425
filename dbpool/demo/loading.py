"""The data set's way into the database: COPY on several connections of the pool."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

from dbpool import DatabasePool
from dbpool.connection import Record
from dbpool.demo.orders import ORDER_COLUMNS, OrderRow, Skew, batches
from dbpool.demo.people import CUSTOMER_COLUMNS, customers
from dbpool.demo.plan import DemoError, Plan

LOADERS = 4  # making the rows keeps one processor busy, so more connections would not make it faster

# the identities are told where the given numbers end, as a restored dump does it
_FINISH = (
    "SELECT setval(pg_get_serial_sequence('customers', 'id'), max(id)) FROM customers",
    "SELECT setval(pg_get_serial_sequence('orders', 'id'), max(id)) FROM orders",
    "ANALYZE customers, orders",
)
_BEST_CUSTOMERS = """
    SELECT c.name, c.region, count(*) AS orders, sum(o.amount_cents)::bigint AS amount_cents
    FROM orders o JOIN customers c ON c.id = o.customer_id
    WHERE o.status <> 'cancelled'
    GROUP BY c.id ORDER BY amount_cents DESC, c.id LIMIT 3
"""
_FACTS = """
    WITH by_customer AS (
        SELECT count(*) AS orders, row_number() OVER (ORDER BY count(*) DESC) AS rank FROM orders GROUP BY customer_id
    )
    SELECT count(*) AS orders,
           (SELECT count(*) FROM customers) AS customers,
           coalesce((SELECT sum(orders) FROM by_customer WHERE rank <= $1), 0)::float8 / count(*) AS best_share,
           avg((status = 'shipped')::int)::float8 AS shipped_share,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY amount_cents) AS median_cents,
           max(amount_cents) AS largest_cents
    FROM orders
"""
# a sum of the rows' hashes does not depend on the order in which several connections stored them
_CHECKSUM = """
    SELECT sum(('x' || left(md5(line), 16))::bit(64)::bigint)
    FROM (
        SELECT concat_ws('|', id, customer_id, extract(epoch FROM placed_at)::bigint, status, amount_cents, note)
        FROM orders
        UNION ALL
        SELECT concat_ws('|', id, email, name, region, extract(epoch FROM created_at)::bigint) FROM customers
    ) AS stored (line)
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server says of the data set."""

    orders: int
    customers: int
    best_customers: int
    """How many customers are a hundredth of all, rounded up."""
    best_share: float
    """Of all orders, those that the best hundredth of the customers placed."""
    shipped_share: float
    median_cents: int
    largest_cents: int
    checksum: str


class Loading:
    """Copies the data set; ``rows`` tells at any time how many of its orders are stored."""

    def __init__(self, db: DatabasePool, plan: Plan) -> None:
        self._db = db
        self._plan = plan
        self._batches = batches(plan.seed, plan.orders, Skew(plan.seed, plan.customers))
        self._started_at = perf_counter()
        self.rows = 0
        self.took_s = 0.0

    async def load_first(self) -> list[Record]:
        """Copy the customers with the first orders; return the best three customers so far."""
        people = list(customers(self._plan.seed, self._plan.customers))
        async with self._db.acquire() as connection:
            await connection.copy_records_to_table("customers", records=people, columns=CUSTOMER_COLUMNS)
        await self._copy(next(self._batches))
        return await self._db.fetch(_BEST_CUSTOMERS)

    async def load_rest(self) -> None:
        """Copy the remaining orders on several connections, then bring the statistics up to date."""
        async with asyncio.TaskGroup() as loaders:
            for _ in range(min(LOADERS, self._plan.connections)):
                loaders.create_task(self._copy_all(self._batches))
        for statement in _FINISH:
            await self._db.execute(statement)
        self.took_s = perf_counter() - self._started_at

    async def facts(self) -> Facts:
        """Ask the server what it has."""
        best = -(-self._plan.customers // 100)
        row = await self._db.fetchrow(_FACTS, best)
        assert row is not None
        if row["orders"] != self._plan.orders:
            raise DemoError(f"{self._plan.orders} orders were sent, and the server has {row['orders']}.")
        checksum = int(await self._db.fetchval(_CHECKSUM)) % 2**64
        return Facts(**row, best_customers=best, checksum=f"{checksum:016x}")

    async def _copy_all(self, batches: Iterator[list[OrderRow]]) -> None:
        for batch in batches:
            await self._copy(batch)

    async def _copy(self, batch: list[OrderRow]) -> None:
        async with self._db.acquire() as connection:
            await connection.copy_records_to_table("orders", records=batch, columns=ORDER_COLUMNS)
        self.rows += len(batch)
