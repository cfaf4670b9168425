"""Producers that are quicker than the database, and a bounded queue between: memory stays as it is.

    DATABASE_URL=postgresql://app@localhost/shop python examples/producer_consumer.py [readings of each sensor]

``asyncio.Queue(maxsize=...)`` is the bound: who puts waits while it is full, so nothing has to be counted by hand. The
consumer is ``db.insert``, which takes an async iterable and reads it only as fast as rows are stored, thousands of them
in a transaction. When the last producer has ended, a None ends the stream; what fails ends all, by the task group.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dbpool import DatabasePool, Written

from support.database import database_url

ROOM = 500
SENSORS = 4


@dataclass(frozen=True, slots=True)
class Reading:
    sensor: int
    number: int
    celsius: float
    at: datetime


@dataclass
class Line:
    """The queue, and what it has seen."""

    queue: asyncio.Queue[Reading | None] = field(default_factory=lambda: asyncio.Queue(maxsize=ROOM))
    longest: int = 0
    waits: int = 0

    async def put(self, reading: Reading) -> None:
        self.waits += self.queue.full()
        await self.queue.put(reading)
        self.longest = max(self.longest, self.queue.qsize())

    async def readings(self) -> AsyncIterator[Reading]:
        while (reading := await self.queue.get()) is not None:
            yield reading


async def sense(line: Line, sensor: int, count: int) -> None:
    """A producer."""
    for number in range(count):
        await line.put(Reading(sensor, number, 20 + (number * sensor) % 7 / 10, datetime.now(UTC)))


async def sense_all(line: Line, count: int) -> None:
    async with asyncio.TaskGroup() as producers:
        for sensor in range(SENSORS):
            producers.create_task(sense(line, sensor, count))
    await line.queue.put(None)


async def main(count: int = 10_000) -> None:
    line = Line()
    with database_url() as dsn:
        async with DatabasePool(dsn, 2) as db:
            await db.execute(
                "drop table if exists example_reading; create table example_reading (sensor int, number int,"
                " celsius float8, at timestamptz, primary key (sensor, number))"
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(sense_all(line, count))
                consumer = group.create_task(db.insert("example_reading", line.readings()))
            written: Written = consumer.result()
            stored = await db.fetchval("select count(*) from example_reading")
    print(f"{stored} readings of {SENSORS} sensors stored, {written.rows / written.seconds:,.0f} a second")
    print(f"never more than {line.longest} in the queue of {ROOM}; producers waited {line.waits} times")


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
