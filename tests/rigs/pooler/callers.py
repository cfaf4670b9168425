"""What callers do through a pooler in the storm, and what must be true of every answer."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import asyncpg

from dbpool import (
    AcquireTimeout,
    CommitOutcomeUnknown,
    ConnectionLost,
    DatabasePool,
    QueryTimeout,
    ServerUnavailable,
    TransactionRolledBack,
)

TEXTS = 30
PATIENCE_S = 3.0
LONGEST_S = 20.0  # for any of what they do, several calls with that time-out
_NOT_DONE = (AcquireTimeout, ServerUnavailable, TransactionRolledBack)


class Lie(AssertionError):
    """An answer that must never be; *goal* is what it breaks."""

    def __init__(self, goal: str, text: str) -> None:
        super().__init__(goal, text)
        self.goal, self.text = goal, text


@dataclass(slots=True)
class Seen:
    """What has happened so far, and which rows must be stored, must not, or may be."""

    done: Counter[str] = field(default_factory=Counter)
    stored: set[int] = field(default_factory=set)
    absent: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    next_row: int = 0


@dataclass(slots=True)
class Callers:
    """All that one pool's callers do; *own* tells their rows from those of the other pool, of the same texts."""

    db: DatabasePool
    own: int
    chance: random.Random
    seen: Seen
    has_faults: bool = False
    """The pooler or the server is in trouble now and then: innocent statements may be lost, but never killed."""
    is_over: bool = False

    def works(self) -> list[Callable[[], Awaitable[None]]]:
        """To be called again and again, side by side."""
        return [self.read, self.read, self.write, self.give_up, self.be_cancelled, self.be_cancelled]

    async def go_on(self, work: Callable[[], Awaitable[None]]) -> None:
        while not self.is_over:
            try:
                async with asyncio.timeout(LONGEST_S):
                    await work()
            except TimeoutError:
                raise Lie("M6", f"{work.__name__} had not ended after {LONGEST_S:g} s") from None
            except asyncpg.QueryCanceledError as error:
                raise Lie("M10", f"{work.__name__}: a statement that nobody had cancelled was: {error}") from error

    async def read(self) -> None:
        """Nobody has cancelled this."""
        n, text = self.chance.randrange(10**6), self.chance.randrange(TEXTS)
        try:
            row = await self.db.fetchrow(
                f"select $1::int + {self.own} as c{text}, '{self.own}'::text as d", n, timeout=PATIENCE_S
            )
            async with self.db.transaction(timeout=PATIENCE_S) as tx:
                total = await tx.fetchval(f"select $1::int * 2 + {text}", n)
        except (ConnectionLost, ServerUnavailable, AcquireTimeout, QueryTimeout) as error:
            self._lost(error)
            return
        if row is None or dict(row) != {f"c{text}": n + self.own, "d": str(self.own)} or total != n * 2 + text:
            raise Lie("M10", f"{row!r} and {total!r} for {n} of text {text}: those of another statement")
        self.seen.done["innocent statements"] += 2

    async def write(self) -> None:
        row = self.seen.next_row
        self.seen.next_row += 1
        try:
            async with self.db.transaction(timeout=PATIENCE_S) as tx:
                await tx.execute("insert into storm values ($1, $2)", row, self.own)
        except CommitOutcomeUnknown:
            self.seen.unknown.add(row)
        except (*_NOT_DONE, ConnectionLost) as error:  # before COMMIT was sent
            self.seen.absent.add(row)
            self._lost(error)
        else:
            self.seen.stored.add(row)
            self.seen.done["rows acknowledged"] += 1

    async def give_up(self) -> None:
        try:
            await self.db.fetchval("select pg_sleep(2)", timeout=self.chance.uniform(0.001, 0.05))
        except (QueryTimeout, AcquireTimeout) as error:
            self.seen.done["statements timed out" if isinstance(error, QueryTimeout) else "waits timed out"] += 1
        except (ConnectionLost, ServerUnavailable) as error:
            self._lost(error)

    async def be_cancelled(self) -> None:
        sql = f"select count(*) from generate_series(1, {self.chance.choice((1, 1000, 200000))})"
        task = asyncio.create_task(self.db.fetchval(sql, timeout=PATIENCE_S))
        await asyncio.sleep(self.chance.choice((0, 0, 0.0005, 0.002, 0.01)))
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0.005)  # or the line would be full of what nobody wants
        if task.cancelled():
            self.seen.done["statements cancelled"] += 1
        elif (error := task.exception()) is not None:
            self._lost(error)

    def _lost(self, error: BaseException) -> None:
        if isinstance(error, asyncpg.QueryCanceledError):
            raise error
        if not self.has_faults and not isinstance(error, AcquireTimeout | QueryTimeout):
            raise Lie("M10", f"lost while nothing was in trouble: {error}") from error
        self.seen.done[f"met {type(error).__name__}"] += 1


async def lies_about_rows(dsn: str, seen: Seen) -> list[Lie]:
    """What the table itself says, by a connection to the server."""
    witness = await asyncpg.connect(dsn)
    try:
        rows = Counter(row[0] for row in await witness.fetch("select row from storm"))
    finally:
        await witness.close()
    lies = []
    if lost := seen.stored - set(rows):
        lies.append(Lie("M3", f"{len(lost)} acknowledged rows are not stored, as {min(lost)}"))
    if there := seen.absent & set(rows):
        lies.append(Lie("M5", f"{len(there)} rows are stored that were told as not, as {min(there)}"))
    if twice := [row for row, times in rows.items() if times > 1]:
        lies.append(Lie("M4", f"{len(twice)} rows are stored more than once, as {min(twice)}"))
    return lies
