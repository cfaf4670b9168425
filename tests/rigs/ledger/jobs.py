"""Jobs that are killed at any instant and resumed at once: each item has had its effect once."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg

from tests.rigs.known import ROOT
from tests.rigs.ledger.cluster import Cluster

MOST_S = 1.5  # from its begin to its death; a whole run takes longer
KILLS_EACH = 5  # then it may go on to its end, for there is a job without
ENDING_S = 60.0
PAUSE_S = 0.1  # after a run that failed by itself
COUNTS = "select count(*), count(distinct n), coalesce(sum(n), 0) from jobseen where job = $1"


@dataclass(slots=True)
class Jobs:
    """One job after the other, until ``is_over``."""

    cluster: Cluster
    address: str
    luck: random.Random
    items: int
    """Of each."""
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    """What was not over in time, whatever it did."""
    duplicates: int = 0
    missing: int = 0
    is_over: bool = False
    _process: asyncio.subprocess.Process | None = None

    async def go_on(self) -> None:
        number = 0
        while not self.is_over:
            number += 1
            await self._job(number)

    async def _job(self, number: int) -> None:
        """Kill it some times, then let it end, however often it must be run for that; look at what it did."""
        kills = self.luck.randint(1, 2 * KILLS_EACH)
        loop = asyncio.get_running_loop()
        ends_at = None
        while not self.is_over or kills == 0:
            if self.is_over:
                ends_at = ends_at or loop.time() + ENDING_S
                if loop.time() > ends_at:
                    self.stuck.append(f"job {number} could not be brought to its end in {ENDING_S:.0f} s")
                    return
            was_killed, code = await self._run(number, self.luck.uniform(0, MOST_S) if kills else ENDING_S)
            if was_killed and kills:
                kills -= 1
                self.done["kills of jobs"] += 1
            elif code == 0:
                await self._look(number)
                return
            else:
                self.done["runs of jobs that failed under faults"] += 1
                await asyncio.sleep(PAUSE_S)
            if self.is_over:
                kills = 0

    async def _run(self, number: int, patience_s: float) -> tuple[bool, int]:
        """Whether it was killed, and its exit code."""
        dsn = f"postgresql://jobber@{self.address}/postgres?sslmode=disable"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.rigs.ledger.jobrun"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"dsn": dsn, "number": number, "count": self.items}).encode() + b"\n")
        try:
            await process.stdout.readline()
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await process.wait()
            was_running = process.returncode is None
        finally:
            if process.returncode is None:
                process.kill()
            code = await process.wait()
            process.stdin.close()
        return was_running, code

    async def _look(self, number: int) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self.cluster.dsn, timeout=5)
                try:
                    (counts,) = await connection.fetch(COUNTS, number)
                    rows, different, total = counts
                    await connection.execute("delete from jobseen where job = $1", number)
                    break
                finally:
                    await connection.close(timeout=1)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await asyncio.sleep(0.2)
        self.done["jobs brought to their end"] += 1
        self.duplicates += rows - different
        self.missing += self.items - different
        if (rows, different, total) != (self.items, self.items, self.items * (self.items - 1) // 2):
            self.wrong.append(
                f"job {number}: {rows} effects of {different} items, where {self.items} items are to have one"
            )
