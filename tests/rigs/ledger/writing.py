"""A writer: writes in every way there is, cancels and hurries itself at random, notes what it was told.

Usage: ``python -m tests.rigs.ledger.writing``, with an ``Order`` as JSON on stdin. It goes on until stdin ends.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import uvloop

from tests.rigs.ledger.memory import Memory, looker, settle
from tests.rigs.ledger.records import Fate, Kind, Ledger, Part, merged, next_row
from tests.rigs.ledger.writes import QUERY_S, ROWS, Batch, Opening, Told, Writes
from tests.rigs.looplag import LoopLag, watched_lag

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
TASKS = 12  # for each connection three: there is always somebody in line
TELL_S = 1.0
MEMORY_S = 15.0
HANG_S = 60.0  # no call is meant to take that long, all its deadlines together: it is ended, and told
PAUSE_S = 0.01  # after a write that was refused at once
END_S = 10.0
RESOLVE_TRIES = 40
ROWS_PER_S = 2000  # meant to be written by each writer, then its batches are small
# Kind, how often of a hundred, rows.
MIX = (
    (Kind.ONE, 34, 1, 1),
    (Kind.TX, 26, 2, 6),
    (Kind.SWALLOWED, 5, 1, 3),
    (Kind.BEGUN_AGAIN, 5, 1, 2),
    (Kind.MAP, 10, 20, 120),
    (Kind.INSERT, 12, 20, 1500),
    (Kind.LOAD, 8, 20, 1500),
)
_OF_BLOCKS = ("waiting", "begin", "begin", "body", "body", "commit", "commit", "rollback")
PHASES = {Kind.ONE: ("waiting", "statement", "statement"), Kind.TX: _OF_BLOCKS, Kind.SWALLOWED: _OF_BLOCKS}
PHASES |= {Kind.BEGUN_AGAIN: _OF_BLOCKS} | dict.fromkeys((Kind.MAP, Kind.INSERT, Kind.LOAD), ("waiting", "bulk"))


@dataclass(frozen=True, slots=True)
class Order:
    """What a writer is told; *place* is the directory of its files."""

    contender: str
    dsn: str
    connections: int
    worker: int
    life: int
    place: str
    seed: int
    loop: str

    @property
    def ledger(self) -> Path:
        return Path(self.place) / f"{self.worker}.ledger"

    @property
    def told(self) -> Path:
        return Path(self.place) / f"{self.worker}-{self.life}.told"


class Writer:
    """See the module."""

    def __init__(self, order: Order, writes: Writes, lag: LoopLag) -> None:
        self._order = order
        self._writes = writes
        self._lag = lag
        self._luck = random.Random(f"{order.seed} {order.worker} {order.life}")
        self._row = self._first_row = next_row(order.ledger)
        self._began = time.monotonic()
        self._ledger = Ledger(order.ledger)
        self._ledger.note(Kind.ONE, Part(self._row, 0, Fate.NONE))
        self._resolving: set[asyncio.Task[None]] = set()
        self._mix = [each for each in MIX if each[0] in writes.kinds]
        self.told = Told()
        settle()
        self._memory = looker()
        self.memory: list[Memory] = []
        self.is_over = False

    async def go_on(self) -> None:
        """Write, one batch after the other."""
        while not self.is_over:
            kind, _, least, most = self._luck.choices(self._mix, [each[1] for each in self._mix])[0]
            batch = self._next(kind, least if self._is_ahead() else self._luck.randint(least, most))
            self._ledger.note(kind, Part(batch.first, batch.count, Fate.INTENT))
            started = time.monotonic()
            parts = await self._tried(batch)
            for part in merged(parts):
                self._note(kind, part)
            if parts[0].fate is Fate.ACK:
                await self._look(batch, parts[0].first)
            elif time.monotonic() - started < PAUSE_S:
                await asyncio.sleep(PAUSE_S)

    async def end(self) -> None:
        """Have every unknown outcome resolved, if that can be done."""
        if self._resolving:
            await asyncio.wait(self._resolving, timeout=END_S)

    def tell(self) -> None:
        """Write down what was counted so far."""
        if not self.memory or time.monotonic() - self.memory[-1].at >= MEMORY_S:
            self.memory.append(self._memory())
        told = {"memory": self.memory, "lag_ms": self._lag.worst_s * 1e3, **self.told.plain()}
        new = self._order.told.with_suffix(".new")
        new.write_text(json.dumps(told), "utf-8")
        new.replace(self._order.told)

    def _is_ahead(self) -> bool:
        """A quiet machine would fill its disk in a day."""
        return self._row - self._first_row > ROWS_PER_S * (time.monotonic() - self._began)

    def _next(self, kind: Kind, count: int) -> Batch:
        first, self._row = self._row, self._row + count
        is_hurried = self._luck.random() < 0.1
        limit_s = self._luck.uniform(0.001, 0.05) if is_hurried else QUERY_S
        self.told.faults[15] += is_hurried
        return Batch(self._order.worker, kind, first, count, limit_s, self._lag, self.told)

    async def _tried(self, batch: Batch) -> list[Part]:
        """Cancelled at any instant, once or thrice, if it is its turn; ended if it hangs."""
        task = asyncio.ensure_future(self._writes.kinds[batch.kind](batch))
        await asyncio.sleep(0)  # it has begun: else it could tell nothing of its cancellation
        if self._luck.random() < 0.2:
            self._cancel_in(self._luck.choice(PHASES[batch.kind]), task, batch)
        for patience_s in (HANG_S, END_S):
            if (await asyncio.wait([task], timeout=patience_s))[0]:
                return task.result()
            self.told.late.append(
                f"{batch.kind.name.lower()}, {batch.phase}: hangs, was ended after {patience_s:.0f} s"
            )
            task.cancel()
        return batch.all(Fate.UNKNOWN)

    def _cancel_in(self, phase: str, task: asyncio.Future[list[Part]], batch: Batch) -> None:
        """Soon after that phase has begun, if it ever does."""

        def entered() -> None:
            if batch.phase == phase:
                batch.entered = lambda: None
                delay_s = self._luck.choice((0.0, 0.002, 0.02)) * self._luck.random()
                asyncio.get_running_loop().call_later(delay_s, self._cancel, task, batch)

        batch.entered = entered
        entered()

    def _cancel(self, task: asyncio.Future[list[Part]], batch: Batch) -> None:
        if task.done():
            return
        batch.cancelled_at = asyncio.get_running_loop().time()
        self.told.faults[ROWS[batch.phase]] += 1
        task.cancel()
        if self._luck.random() < 0.2:
            self.told.faults[12] += 1
            for turns in range(1, 3):
                asyncio.get_running_loop().call_later(turns * 0.001, task.cancel)

    def _note(self, kind: Kind, part: Part) -> None:
        self._ledger.note(kind, part)
        if part.fate is Fate.UNKNOWN and part.xid:
            task = asyncio.ensure_future(self._resolve(kind, part))
            self._resolving.add(task)
            task.add_done_callback(self._resolving.discard)

    async def _resolve(self, kind: Kind, part: Part) -> None:
        for _ in range(RESOLVE_TRIES):
            fate = await self._writes.resolve(part)
            if fate is not None:
                self._ledger.note(kind, part._replace(fate=fate))
                return
            await asyncio.sleep(0.25)
        self.told.lies.append(f"transaction {part.xid} could not be resolved in {RESOLVE_TRIES} tries")

    async def _look(self, batch: Batch, row: int) -> None:
        """Now and then a row that was acknowledged is read at once, by any connection."""
        if self._luck.random() < 0.05:
            with suppress(Exception):
                times = await self._writes.count(batch.worker, row)
                self.told.done["rows read back at once"] += 1
                if times != 1:
                    text = f"row {row} of writer {batch.worker} was acknowledged, and then read {times} times"
                    self.told.lies.append(text)


async def main(order: Order) -> None:
    opening = cast("Opening", import_module(f"tests.rigs.ledger.{order.contender}").opened)
    asked_to_end = asyncio.ensure_future(_end_of_stdin())
    async with watched_lag() as lag, opening(order.dsn, order.connections, order.seed + order.worker) as writes:
        writer = Writer(order, writes, lag)
        tasks = [asyncio.create_task(writer.go_on()) for _ in range(TASKS)]
        while not asked_to_end.done():
            await asyncio.wait([asked_to_end], timeout=TELL_S)
            writer.tell()
            _raise_of(tasks)
        writer.is_over = True
        await asyncio.wait(tasks, timeout=HANG_S)
        await writer.end()
        writer.tell()


async def _end_of_stdin() -> None:
    """Not by a thread, for which a writer that fails would wait for ever at its end."""
    reader = asyncio.StreamReader()
    make = asyncio.get_running_loop().connect_read_pipe
    kept = await make(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    kept[0].close()


def _raise_of(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        if task.done():
            task.result()


if __name__ == "__main__":
    order = Order(**json.loads(sys.stdin.readline()))
    with asyncio.Runner(loop_factory=LOOPS[order.loop]) as runner:
        runner.run(main(order))
