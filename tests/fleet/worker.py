"""A process of a fleet that is always busy: ``python -m tests.fleet.worker DSN BUDGET MEMBERS MOST``.

Prints its capacity whenever that changes, and ``refused ...`` whenever the server refuses it a connection.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from dbpool import DatabasePool, DbPoolError
from dbpool.events import ConnectFailed, Event, Resized


def say(what: str, value: object) -> None:
    sys.stdout.write(f"{what} {value}\n")
    sys.stdout.flush()


def tell(event: Event) -> None:
    if isinstance(event, ConnectFailed):
        say("refused", event.error)
    elif isinstance(event, Resized):
        say("capacity", event.now)


async def main(dsn: str, budget: int, members: int, most: int) -> None:
    db = DatabasePool(dsn, most, name="fleet", fleet_budget=budget, fleet_members=members, connect_timeout=20)
    db.on_event(tell)
    try:
        await db.open()
    except DbPoolError as error:
        say("refused", error)
        raise
    say("capacity", db.stats().capacity)

    async def caller() -> None:
        while True:
            with suppress(DbPoolError):
                await db.fetch("select pg_sleep(0.1)")

    async with db, asyncio.TaskGroup() as group:
        for _ in range(2 * most):
            group.create_task(caller())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
