"""What a writer asks of whoever writes for it, dbpool or another pool."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from tests.rigs.ledger.records import Fate, Kind, Part
from tests.rigs.looplag import LoopLag

T = TypeVar("T")

# Each pool is told the same: seconds for a connection, for a statement, to connect, to clean up.
ACQUIRE_S, QUERY_S, CONNECT_S, RESET_S = 3.0, 2.0, 2.0, 1.0
LATE_S = 0.1  # M6: what an await may take beyond its deadline

INSERT = "insert into ledger (worker, seq, kind) values ($1, $2, $3)"
DUPLICATE = "insert into kept values (1)"  # always refused: 23505


@dataclass(slots=True)
class Told:
    """What a writer counts beside its ledger; the rig adds up that of all."""

    done: Counter[str] = field(default_factory=Counter)
    faults: Counter[int] = field(default_factory=Counter)
    late: list[str] = field(default_factory=list)
    lies: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {"done": self.done, "faults": self.faults, "late": self.late, "lies": self.lies}


@dataclass(slots=True)
class Batch:
    """Rows to write together, with the luck that they have.

    ``limit_s`` is for each statement.
    """

    worker: int
    kind: Kind
    first: int
    count: int
    limit_s: float
    lag: LoopLag
    told: Told
    phase: str = "waiting"
    cancelled_at: float | None = None
    entered: Callable[[], None] = lambda: None
    """Called when a phase begins."""

    @property
    def soon_s(self) -> float:
        """When BEGIN is given up: before it is sent, while it runs, or after it."""
        return 0.0002 * (1 + self.first % 20)

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.count)

    def enter(self, phase: str) -> None:
        self.phase = phase
        self.entered()

    def all(self, fate: Fate, xid: int = 0) -> list[Part]:
        return [Part(self.first, self.count, fate, xid)]

    def records(self) -> list[tuple[int, int, int]]:
        return [(self.worker, row, self.kind) for row in self.numbers]

    async def within(self, limit_s: float, awaitable: Awaitable[T], *, cancelled_s: float = 0.0) -> T:
        """Await it, and note if it came later than it may.

        Args:
            limit_s: its deadline, from now.
            cancelled_s: how long it may go on when it is cancelled.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            return await awaitable
        finally:
            now = loop.time()
            due = started + limit_s
            if self.cancelled_at is not None:
                due = min(due, max(started, self.cancelled_at) + cancelled_s)
            self.told.done["awaits watched"] += 1
            late_s = now - due
            # what the loop lost before the deadline is no excuse: that was at its moment, whatever came before
            if late_s > LATE_S and (late_s := late_s - self.lag.within(late_s)) > LATE_S:
                how = "" if self.cancelled_at is None else ", cancelled"
                what = f"{self.kind.name.lower()}, {self.phase}{how}"
                self.told.late.append(f"{what}: {late_s * 1e3:.0f} ms after its deadline of {limit_s:.3f} s")


Write: TypeAlias = Callable[[Batch], Awaitable[list[Part]]]
# A cancellation in a phase is a fault of this row of docs/faults.md.
ROWS = {"waiting": 1, "statement": 6, "begin": 8, "body": 7, "commit": 9, "rollback": 10, "done": 11, "bulk": 6}


class Writes(Protocol):
    """An open pool."""

    kinds: Mapping[Kind, Write]

    async def resolve(self, part: Part) -> Fate | None:
        """What became of a transaction; None: it could not be asked now."""
        ...

    async def count(self, worker: int, row: int) -> int:
        """How often a row is stored."""
        ...


class Opening(Protocol):
    """How a contender's module opens one."""

    def __call__(self, dsn: str, connections: int, seed: int) -> AbstractAsyncContextManager[Writes]: ...
