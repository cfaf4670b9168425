"""Many callers, few connections: a page that everybody asks for, beside a report that takes long.

    DATABASE_URL=postgresql://app@localhost/shop python examples/connection_pool.py [callers]

The pool's own bound is the only one: a semaphore in front of it would be a second line, in which nobody knows who is
next. The reports go by a lane of their own, which may hold 2 connections, so that pages always find one. Each wait has
an end: who gets no connection in time is told who holds them. The server itself is asked how many there were.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from dbpool import AcquireTimeout, DatabasePool

from support.database import database_url

CONNECTIONS = 5


async def page(db: DatabasePool, customer: int) -> float:
    """Show a customer's orders; return how long that took."""
    began = time.perf_counter()
    await db.fetch("select id, total from example_orders where customer = $1 order by id desc limit 10", customer)
    return time.perf_counter() - began


async def watch(db: DatabasePool, counts: list[int]) -> None:
    """Note how many connections of this pool the server counts, now and then."""
    count = "select count(*) from pg_stat_activity where application_name = $1"
    while True:
        counts.append(await db.fetchval(count, "pool example"))
        await asyncio.sleep(0.05)


async def main(callers: int = 1000) -> None:
    with database_url() as dsn:
        settings = {"application_name": "pool example"}
        async with (
            DatabasePool(dsn, CONNECTIONS, name="shop", server_settings=settings) as db,
            DatabasePool(dsn, 1, name="witness") as witness,
        ):
            await db.execute(
                "drop table if exists example_orders;"
                "create table example_orders as select g as id, g % 500 as customer, g % 97 as total"
                " from generate_series(1, 50000) g; create index on example_orders (customer, id)"
            )
            reports, counts = db.lane("reports", at_most=2), list[int]()
            watching = asyncio.create_task(watch(witness, counts))
            slow = [asyncio.create_task(reports.fetchval("select pg_sleep(0.3)")) for _ in range(6)]
            began = time.perf_counter()
            waits = await asyncio.gather(*(page(db, number % 500) for number in range(callers)))
            took = time.perf_counter() - began
            await asyncio.gather(*slow)
            each = statistics.median(waits)
            print(f"{callers} pages in {took:.2f} s, median {each:.3f} s, while 6 reports ran 2 at a time")

            holders = [asyncio.create_task(db.fetchval("select pg_sleep(0.6)")) for _ in range(CONNECTIONS)]
            await asyncio.sleep(0)  # they are in line before us
            try:
                await db.fetchval("select 1", timeout=0.2)
            except AcquireTimeout as error:
                print(f"with all of them held: {str(error).splitlines()[0]}")
            await asyncio.gather(*holders)
            watching.cancel()
            await asyncio.wait([watching])
            stats = db.stats()
    print(f"the server counted {max(counts)} connections at most, in {len(counts)} looks; {stats.held} are held now")


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
