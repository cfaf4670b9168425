"""Failovers, restarts, freezes and refusals of a cluster, with writers and readers on: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from statistics import median
from typing import Final

from dbpool import DatabasePool
from dbpool.testing import PostgresCluster
from tests.rigs.availability.chaos import FAULTS, Fault, heal
from tests.rigs.availability.contenders import CONNECTIONS, asyncpg_writes, psycopg_writes
from tests.rigs.availability.prober import Prober
from tests.rigs.availability.writing import Told, write_on, write_ours
from tests.rigs.findings import Findings, Say, Violation
from tests.rigs.known import replay
from tests.rigs.quiet import quiet

OURS: Final = "dbpool"
RECOVERY_MS: Final = 250.0  # the goal, p99 behind the prober
ENOUGH: Final = 20  # recoveries for a p99
RECOVERED_S: Final = 10.0  # who has not written by then is noted as such
TABLES: Final = (
    "create table written (id bigint primary key); create table probed (at timestamptz default clock_timestamp())"
)


def run(seconds: float, seed: int, say: Say, faults: Sequence[Fault] = FAULTS) -> Findings:
    """Go on for about *seconds*, one fault at least, with the same *faults* in the same order for the same *seed*."""
    again = replay("availability", seconds, seed)
    started = time.monotonic()
    with quiet(), PostgresCluster(synchronous=True) as cluster:
        cluster.primary.ask(TABLES)
        prober = Prober([node.dsn() for node in cluster.nodes])
        prober.start()
        try:
            findings = asyncio.run(_Run(cluster, prober, seed, say, faults, again).go(started + seconds))
        finally:
            prober.stop()
    findings.took_s = time.monotonic() - started
    return findings


class _Run:
    def __init__(
        self, cluster: PostgresCluster, prober: Prober, seed: int, say: Say, faults: Sequence[Fault], again: str
    ) -> None:
        self.cluster, self.prober, self.say, self.faults = cluster, prober, say, faults
        self.round: list[Fault] = []
        self.dice = random.Random(seed)
        self.again = again
        self.findings = Findings("availability")
        self.told = {name: Told() for name in (OURS, "asyncpg_pool", "psycopg_pool")}
        self.recoveries: dict[str, list[float]] = {name: [] for name in self.told}

    async def go(self, ends_at: float) -> Findings:
        dsn = self.cluster.dsn()
        async with AsyncExitStack() as stack:
            db = await stack.enter_async_context(
                DatabasePool(dsn, CONNECTIONS, target_session_attrs="read-write", outage_patience=1.5)
            )
            reads = await stack.enter_async_context(db.replicas(max_connections=2))
            writers = [
                write_ours(db, reads, range(number, 1 << 40, 10), self.told[OURS], in_units=number == 0)
                for number in range(3)
            ]
            for number, (name, opens) in enumerate(
                (("asyncpg_pool", asyncpg_writes), ("psycopg_pool", psycopg_writes)), start=3
            ):
                write = await stack.enter_async_context(opens(dsn))
                writers.append(write_on(write, range(number, 1 << 40, 10), self.told[name]))
            stalls = self.told[OURS].stalls
            tasks = [asyncio.create_task(work) for work in (*writers, stalls.watch())]
            try:
                while not self.findings.done["faults"] or time.monotonic() < ends_at:
                    await self._strike(self._next())
                    for task in tasks:
                        if task.done():
                            task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            self.findings.figures["longest_stall_of_the_loop_ms"] = round(stalls.longest_s * 1000)
        await self._check()
        return self._sum_up()

    def _next(self) -> Fault:
        """Each kind once in a round, in an order of this seed's."""
        if not self.round:
            self.round = self.dice.sample(self.faults, len(self.faults))
        return self.round.pop()

    async def _strike(self, fault: Fault) -> None:
        self.say(fault.strike.__name__)
        began = time.monotonic()
        await fault.strike(self.cluster, self.dice)
        if fault.interrupts:
            await self._wait_recovered(began)
        await heal(self.cluster)
        await self._wait_recovered(None)
        self.findings.faults.update(fault.rows)
        self.findings.done["faults"] += 1
        await self._check()

    async def _wait_recovered(self, moment: float | None) -> None:
        """Until all have written since *moment*, which is then measured, or since now."""
        since = time.monotonic()
        for told in self.told.values():
            told.watched = since
        self.prober.begin()
        probed: float | None = None
        try:
            while time.monotonic() < since + RECOVERED_S:
                probed = probed or self.prober.first_after(since)
                if probed is not None and all(since in told.first_after for told in self.told.values()):
                    break
                await asyncio.sleep(0.005)
        finally:
            self.prober.end()
        if moment is None or probed is None:
            return
        if since not in self.told[OURS].first_after and time.monotonic() > probed + RECOVERED_S / 2:
            self._broken("M7", f"no write for {time.monotonic() - probed:.1f} s after the prober's")
        for name, told in self.told.items():
            first = told.first_after.get(since, since + RECOVERED_S)
            stalled = self.told[OURS].stalls.between(probed, first)  # all of them are in this loop
            self.recoveries[name].append(max(0.0, first - probed - stalled) * 1000)

    async def _check(self) -> None:
        """Hold what is stored on the primary, as another program sees it, against what the writers were told."""
        ours = self.told[OURS]
        acknowledged, refused = set(ours.acknowledged), set(ours.refused)
        text = await asyncio.to_thread(self.cluster.primary.ask, "select string_agg(id::text, ' ') from written")
        stored = set(map(int, text.split()))
        for lost in sorted(acknowledged - stored):
            self._broken("M3", f"{lost} was acknowledged and is not there")
        for lied in sorted(refused & stored):
            self._broken("M5", f"{lied} was told to be refused and is there")
        ours.acknowledged -= acknowledged - stored  # told once
        ours.refused -= refused & stored
        for goal, complaint in ours.complaints:
            self._broken(goal, complaint)
        ours.complaints.clear()

    def _broken(self, goal: str, text: str) -> None:
        self.findings.violations.append(Violation(goal, text, self.again))

    def _sum_up(self) -> Findings:
        findings, ours = self.findings, self.told[OURS]
        findings.done.update(ours.done)
        findings.done["writes acknowledged"] = len(ours.acknowledged)
        findings.done["writes refused"] = len(ours.refused)
        findings.done["recoveries"] = len(self.recoveries[OURS])
        for name, all_ms in self.recoveries.items():
            if all_ms:
                prefix = "" if name == OURS else f"{name}_"
                findings.figures[f"{prefix}recovery_p99_ms"] = round(p99(all_ms))
                findings.figures[f"{prefix}recovery_median_ms"] = round(median(all_ms))
        ours_ms = self.recoveries[OURS]
        if len(ours_ms) >= ENOUGH and p99(ours_ms) > RECOVERY_MS:
            self._broken("M7", f"the first write came {p99(ours_ms):.0f} ms after the prober's (p99 of {len(ours_ms)})")
        return findings


def p99(values: list[float]) -> float:
    """The nearest rank."""
    return sorted(values)[max(0, -(-99 * len(values) // 100) - 1)]
