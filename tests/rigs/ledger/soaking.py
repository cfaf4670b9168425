"""The whole of the ledger rig: server, proxy, writers, faults, checker; what they found put together."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from dbpool.testing.proxying.proxy import FaultProxy
from tests.rigs.findings import Findings, Say, Violation
from tests.rigs.known import PEERS, ROOT, replay
from tests.rigs.ledger.chaos import FIRST_RESTART_S, RESTART_EVERY_S, Chaos
from tests.rigs.ledger.cluster import Cluster, cluster
from tests.rigs.ledger.jobs import Jobs
from tests.rigs.ledger.restarting import Restarting, p99, recoveries_ms, too_late
from tests.rigs.ledger.slope import growth, too_steep
from tests.rigs.ledger.writers import Writers, limits
from tests.rigs.ledger.writing import LOOPS, MEMORY_S

OURS = "bydbpool"
WORKERS = 3
JOB_ITEMS, FEW_ITEMS = 10_000, 2_000  # the last job is brought to its end, however short the time was
LOOK_S = 1.0
CURVE_S = 300.0
CHECK_S = 300.0  # for the last look at everything
LOW_PORTS = range(20_000, 32_000)  # below Linux's ip_local_port_range
MOST_TOLD = 20  # violations of a kind in words


def soaked(seconds: float, seed: int, say: Say, rig: str, contender: str) -> Findings:
    """What there is to say of one contender; *rig* is its name in the findings."""
    soak = Soak(seconds, seed, say, contender)
    soak.again = replay("ledger" if rig == "ledger" else f"--among {PEERS} {rig}", seconds, seed)
    with asyncio.Runner() as runner:
        runner.run(soak.go_on())
    soak.found.rig = rig
    return soak.found


class Soak:
    """See the module; ``found`` is complete when ``go_on`` returns, also where it was cancelled."""

    def __init__(self, seconds: float, seed: int, say: Say, contender: str = OURS) -> None:
        self.again = ""
        self._seconds = seconds
        self._seed = seed
        self._say = say
        self._contender = contender
        self._luck = random.Random(seed)
        self._from_outside = 0
        self._uncut: list[tuple[float, float]] = []
        self.found = Findings("ledger")

    async def go_on(self) -> None:
        started = time.monotonic()
        async with cluster() as server, proxy_before(server) as proxy:
            await server.equip({**limits(WORKERS), "jobber": 20})
            writers = Writers(self._contender, server, proxy.address, WORKERS, self._seed)
            checker = await self._checker(server)
            try:
                faults = await self._under_faults(server, proxy, writers)
                self._say("comparing all that was written")
                await self._told_by_checker(checker, server)
            finally:
                writers.kill_all()
                if checker.returncode is None:
                    checker.kill()
                    await checker.wait()
            self._told_by_writers(writers, faults, server)
        self.found.took_s = time.monotonic() - started

    async def _under_faults(self, server: Cluster, proxy: FaultProxy, writers: Writers) -> Counter[int]:
        """All the time that there is; the faults that were made."""

        async def kill() -> bool:
            return await writers.kill(self._luck)

        chaos = Chaos(server, proxy, self._luck, kill)
        restarting = Restarting(server, proxy, chaos, self._luck)
        jobs = Jobs(server, proxy.address, self._luck, JOB_ITEMS if self._seconds >= 30 else FEW_ITEMS)
        await writers.start()
        await writers.until_first()
        at_work = [asyncio.create_task(chaos.go_on())]
        if self._contender == OURS:
            at_work.append(asyncio.create_task(jobs.go_on()))
        try:
            await self._watch(server, chaos, restarting, at_work)
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()  # type: ignore[union-attr]
            self.found.done["soaks ended early"] += 1
        at_work[0].cancel()
        jobs.is_over = True
        await asyncio.wait(at_work)
        await chaos.close()
        self._say("the writers end")
        await writers.end()
        recoveries = recoveries_ms(server.place.glob("*.ledger"), restarting.restarts)
        self.found.figures |= {"recovery_p99_ms": p99(recoveries), "recoveries": len(recoveries)}
        self._violated("M7", too_late(recoveries))
        if self._contender == OURS:
            self.found.done.update(jobs.done)
            self.found.figures |= {"kills": jobs.done["kills of jobs"], "duplicates": jobs.duplicates}
            self.found.figures |= {"missing": jobs.missing}
            self._violated("M4", jobs.wrong)
            self._violated("M7", jobs.stuck)
        self.found.done["restarts of the server"] += len(restarting.restarts)
        self.found.done["kills of writers"] += writers.kills
        self._uncut = chaos.uncut
        faults = chaos.faults + restarting.faults
        self._from_outside = sum(faults.values())
        return faults

    async def _watch(
        self, server: Cluster, chaos: Chaos, restarting: Restarting, at_work: list[asyncio.Task[None]]
    ) -> None:
        """Restart the server now and then, and say how it goes."""
        clock = time.monotonic
        started = clock()
        restart_at = started + FIRST_RESTART_S
        while (elapsed_s := clock() - started) < self._seconds:
            await asyncio.sleep(min(LOOK_S, self._seconds - elapsed_s))
            for task in at_work:
                if task.done():
                    task.result()
            chaos.forget_sessions()
            told = _read(server.place / "checked.json")
            rows = told.get("done", {}).get("rows acknowledged", 0)
            faults = sum(chaos.faults.values())
            self._say(
                f"{rows:,} rows acknowledged, {faults:,} faults from outside, {sum(told.get('lied', {}).values())} lies"
            )
            if clock() >= restart_at:
                restarting_now = asyncio.ensure_future(restarting.once())
                try:
                    await asyncio.shield(restarting_now)
                except asyncio.CancelledError:
                    await asyncio.wait([restarting_now])
                    raise
                restart_at = clock() + self._luck.uniform(0.5, 1.5) * RESTART_EVERY_S

    async def _checker(self, server: Cluster) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.rigs.ledger.checking"), cwd=ROOT, stdin=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        place, file = str(server.place), str(server.place / "checked.json")
        asked = {"dsn": server.dsn, "place": place, "workers": WORKERS, "file": file}
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        return process

    async def _told_by_checker(self, checker: asyncio.subprocess.Process, server: Cluster) -> None:
        assert checker.stdin is not None
        checker.stdin.close()
        async with asyncio.timeout(CHECK_S + self._seconds / 10):
            code = await checker.wait()
        told = _read(server.place / "checked.json")
        if code != 0 or not told:
            self._violated("M13", [f"the checker ended with exit code {code}"])
            return
        self.found.done.update(told["done"])
        self.found.figures |= {"acked_rows": told["done"].get("rows acknowledged", 0), "lies": told["lied"]}
        for goal in ("M3", "M4", "M5"):
            self._violated(goal, [text for its, text in told["lies"] if its == goal])

    def _told_by_writers(self, writers: Writers, faults: Counter[int], server: Cluster) -> None:
        told = writers.told()
        late = [text for each in told for text in each["late"]]
        for each in told:
            self.found.done.update(each["done"])
            faults.update({int(row): times for row, times in each["faults"].items()})
        self.found.faults = faults
        refused = server.refusals()
        refusals = sum(any(start <= at <= end for start, end in self._uncut) for at in refused)
        done = self.found.done
        traceable = done["writes told as unknown, traceable"] - done["unknown writes that killed writers left"]
        resolved = done["unknown writes resolved by outcome()"]
        self.found.figures |= {
            "faults_per_s": round(sum(faults.values()) / self._seconds, 1),
            "faults_from_outside_per_s": round(self._from_outside / self._seconds, 1),
            "rows_per_s": round(done["rows acknowledged"] / self._seconds),
            "unknown_resolved": f"{resolved} of {traceable}" if traceable else None,
            "refusals": refusals,
            "refusals_after_cuts": len(refused) - refusals,
            "late_awaits": len(late),
            "lag_most_ms": round(max((each["lag_ms"] for each in told), default=0.0), 1),
        }
        for loop in LOOPS:
            steady = writers.steady_on(loop, told)
            curve = [round(each.resident / 1e6, 2) for each in steady[:: round(CURVE_S / MEMORY_S)]]
            self.found.figures |= {f"{name}_on_{loop}": value for name, value in growth(steady).items()}
            self.found.figures[f"resident_mb_on_{loop}"] = curve
            self._violated("M8", too_steep(steady))
        self._violated("M6", late)
        self._violated("M5", [text for each in told for text in each["lies"]])
        self._violated("M13", writers.broken)
        if refusals:
            self._violated("M2", [f"{refusals} connections were refused, for a role had as many as its pool may have"])

    def _violated(self, goal: str, texts: list[str]) -> None:
        self.found.violations += [Violation(goal, text, self.again) for text in texts[:MOST_TOLD]]
        if len(texts) > MOST_TOLD:
            more = f"and {len(texts) - MOST_TOLD} more like these"
            self.found.violations.append(Violation(goal, more, self.again))


@asynccontextmanager
async def proxy_before(server: Cluster) -> AsyncIterator[FaultProxy]:
    """At a port that no client can be given.

    A client that connects, while nobody listens, from the very port that it connects to, is connected with itself; and
    then nobody can listen there any more.
    """
    proxy = FaultProxy(server.socket)
    proxy.port = _low_port()
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()


def _low_port() -> int:
    for port in random.SystemRandom().sample(LOW_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port below those that clients get")


def _read(file: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return told
