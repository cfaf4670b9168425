"""Those who write and read while servers come and go, and what they were told."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import asyncpg

from dbpool import AcquireTimeout, CommitOutcomeUnknown, DatabasePool, DbPoolError, ServerUnavailable
from dbpool.replicas import Replicas
from dbpool.transaction import Transaction
from tests.rigs.availability.contenders import PUT, TIMEOUT_S, Write

PAUSE_S = 0.005
LATE_S = 0.1  # of the deadline: the goal
STALL_S = 0.02  # of this loop: what is longer is no delay of the pool's


class Stalls:
    """When this loop did not run for longer than a loop should, and for how long: no delay of the pool's."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []

    @property
    def longest_s(self) -> float:
        return max((length for _, length in self._seen), default=0.0)

    def between(self, begin: float, end: float) -> float:
        """How many seconds of these it stood still."""
        return sum(
            max(0.0, min(ended, end) - max(ended - length, begin)) for ended, length in self._seen if ended > begin
        )

    async def watch(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(STALL_S)
            ended = time.monotonic()
            if (length := ended - began - STALL_S) > STALL_S:
                self._seen.append((ended, length))


@dataclass(slots=True)
class Told:
    """What one contender was told."""

    acknowledged: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    """Told that nothing was stored."""
    done: Counter[str] = field(default_factory=Counter)
    complaints: list[tuple[str, str]] = field(default_factory=list)
    """Goal, and what broke it."""
    first_after: dict[float, float] = field(default_factory=dict)
    """By the moment of a fault: when the first write was acknowledged that was begun after it."""
    watched: float | None = None
    stalls: Stalls = field(default_factory=Stalls)

    def acknowledge(self, number: int, began: float) -> None:
        self.acknowledged.add(number)
        if self.watched is not None and began >= self.watched:
            self.first_after.setdefault(self.watched, time.monotonic())


async def write_on(write: Write, numbers: range, told: Told) -> None:
    """Write one number after another, as any contender."""
    for number in numbers:
        began = time.monotonic()
        try:
            await write(number)
        except Exception:  # whatever a pool says: this one is only measured
            told.done["writes not acknowledged"] += 1
        else:
            told.acknowledge(number, began)
        await asyncio.sleep(PAUSE_S)


async def write_ours(db: DatabasePool, reads: Replicas, numbers: range, told: Told, *, in_units: bool) -> None:
    """The same by dbpool, whose every word is held against it; every fifth write is read back from a standby."""
    for number in numbers:
        began = time.monotonic()
        seconds = TIMEOUT_S
        try:
            if in_units:
                seconds = 60.0  # a unit has no deadline of its own: each of its steps has one
                await db.run(partial(_put, number))
            else:
                await db.execute(PUT, number, timeout=TIMEOUT_S)
        except (AcquireTimeout, ServerUnavailable, asyncpg.ReadOnlySQLTransactionError):
            told.refused.add(number)
        except (DbPoolError, asyncpg.PostgresError) as error:
            told.done["outcomes unknown" if isinstance(error, CommitOutcomeUnknown) else "writes in doubt"] += 1
        else:
            told.acknowledge(number, began)
            if number % 5 == 0:
                await _read_back(db, reads, number, told)
        note_end(told, f"the write of {number}", began, seconds)
        await asyncio.sleep(PAUSE_S)


async def _put(number: int, tx: Transaction) -> None:
    await tx.execute(PUT, number, timeout=TIMEOUT_S)


async def _read_back(db: DatabasePool, reads: Replicas, number: int, told: Told) -> None:
    began = time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            place = await db.lsn()
        began = time.monotonic()
        sql = "select count(*) from written where id = $1"
        if await reads.after(place).fetchval(sql, number, timeout=TIMEOUT_S) != 1:
            told.complaints.append(("M3", f"{number} was acknowledged, and a read behind it did not see it"))
        told.done["reads behind a write"] += 1
    except (DbPoolError, asyncpg.PostgresError, TimeoutError):
        told.done["reads that failed"] += 1
    note_end(told, f"the read of {number}", began, TIMEOUT_S)


def note_end(told: Told, what: str, began: float, seconds: float) -> None:
    """Hold an await that ended too late against the pool."""
    took = time.monotonic() - began
    told.done["awaits"] += 1
    if took > seconds + LATE_S + told.stalls.between(began, began + took):
        told.complaints.append(("M6", f"{what} ended after {took:.2f} s, its deadline was {seconds:g} s"))
