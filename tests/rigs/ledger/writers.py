"""The writers' processes: started, killed, started again, and asked to end."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from tests.rigs.known import ROOT
from tests.rigs.ledger.cluster import ROLES_EACH, Cluster
from tests.rigs.ledger.memory import Memory
from tests.rigs.ledger.records import Fate, Kind, Ledger, Part, Reading
from tests.rigs.ledger.writing import LOOPS, Order

CONNECTIONS = 4
STEADY = (0, 1)  # are never killed, one on each loop: their memory is looked at
FIRST_S = 60.0
END_S = 90.0


def limits(workers: int) -> dict[str, int]:
    """Roles and how many connections each may have: exactly what its pool is bound to."""
    return {_role(worker, number): CONNECTIONS for worker in range(workers) for number in range(ROLES_EACH)}


@dataclass(slots=True)
class Writers:
    """See the module."""

    contender: str
    cluster: Cluster
    address: str
    count: int
    seed: int
    kills: int = 0
    broken: list[str] = field(default_factory=list)
    """How writers ended that nobody killed."""
    _processes: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)
    _lives: Counter[int] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _is_over: bool = False

    async def start(self) -> None:
        for worker in range(self.count):
            task = asyncio.create_task(self._keep(worker))
            self._tasks.add(task)

    async def until_first(self) -> None:
        """Return once each has noted something: before that no fault would meet anybody."""
        ledgers = [self.cluster.place / f"{worker}.ledger" for worker in range(self.count)]
        async with asyncio.timeout(FIRST_S):
            while not all(_has_more_than_its_begin(ledger) for ledger in ledgers):
                await asyncio.sleep(0.02)

    async def kill(self, luck: random.Random) -> bool:
        """SIGKILL one of them, but no steady one; False: there is none now."""
        workers = [worker for worker in self._processes if worker not in STEADY]
        if not workers:
            return False
        with suppress(ProcessLookupError):
            self._processes[luck.choice(workers)].kill()
            self.kills += 1
        return True

    async def end(self) -> None:
        """Ask all to end, and wait until they have; those that do not are killed, and told."""
        self._is_over = True
        for process in self._processes.values():
            if process.stdin is not None:
                process.stdin.close()
        _, late = await asyncio.wait(self._tasks, timeout=END_S)
        for worker, process in list(self._processes.items()):
            self.broken.append(f"writer {worker} did not end in {END_S:.0f} s")
            with suppress(ProcessLookupError):
                process.kill()
        if late:
            await asyncio.wait(late)

    def kill_all(self) -> None:
        self._is_over = True
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.kill()

    def told(self) -> list[dict[str, Any]]:
        """What each has counted, a killed one's each life by itself."""
        files = sorted(self.cluster.place.glob("*.told"))
        return [json.loads(file.read_text("utf-8")) | {"worker": int(file.name.partition("-")[0])} for file in files]

    @staticmethod
    def steady_on(loop: str, told: list[dict[str, Any]]) -> list[Memory]:
        """The memory of the one on *loop* that was never killed."""
        mine = STEADY[list(LOOPS).index(loop)]
        samples: list[list[float]] = max(
            (each["memory"] for each in told if each["worker"] == mine), key=len, default=[]
        )
        return [Memory._make(each) for each in samples]

    async def _keep(self, worker: int) -> None:
        """One life after the other."""
        while not self._is_over:
            role = await self._free_role(worker)
            if role is None:
                await asyncio.sleep(0.1)
                continue
            code, last = await self._live(worker, role)
            if code not in (0, -9):
                self.broken.append(f"writer {worker} ended with exit code {code}: {last}")
                await asyncio.sleep(1.0)  # a writer that cannot even start must not take all the time

    async def _live(self, worker: int, role: str) -> tuple[int, str]:
        dsn = f"postgresql://{role}@{self.address}/postgres?sslmode=disable"
        place = str(self.cluster.place)
        life = self._lives[worker]
        loop = list(LOOPS)[(worker + life) % len(LOOPS)]
        order = Order(self.contender, dsn, CONNECTIONS, worker, life, place, self.seed, loop)
        self._lives[worker] += 1
        errors = Path(place) / f"{worker}.errors"
        with errors.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.rigs.ledger.writing"),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stderr=file,
            )
            assert process.stdin is not None
            process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
            self._processes[worker] = process
            if self._is_over:
                process.stdin.close()
            try:
                code = await process.wait()
                if code != 0:
                    _note_death(order.ledger)
            finally:
                del self._processes[worker]
                process.stdin.close()
        return code, "".join(errors.read_text(errors="replace").strip().splitlines()[-1:])

    async def _free_role(self, worker: int) -> str | None:
        """A role without sessions: one that was killed may have left some behind, and they count."""
        roles = [_role(worker, number) for number in range(ROLES_EACH)]
        sql = "select r from unnest($1::text[]) r where not exists (select from pg_stat_activity where usename = r)"
        try:
            connection = await asyncpg.connect(self.cluster.dsn, timeout=5)
            try:
                free: str | None = await connection.fetchval(f"{sql} limit 1", roles)
                return free
            finally:
                await connection.close(timeout=1)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            return None


def _note_death(ledger: Path) -> None:
    """Of what it left open nobody asks any more, also where there is no next life."""
    file = Ledger(ledger)
    file.note(Kind.ONE, Part(0, 0, Fate.NONE))
    file.close()


def _has_more_than_its_begin(ledger: Path) -> bool:
    return ledger.exists() and sum(1 for _ in Reading(ledger).records()) > 1


def _role(worker: int, number: int) -> str:
    return f"w{worker}_{number}"
