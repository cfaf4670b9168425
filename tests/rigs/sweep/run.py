"""Every operation, disturbed in every way at every suspension, on every loop and transport."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from dataclasses import dataclass
from shutil import which

import uvloop

from dbpool import migrate
from tests.rigs.findings import Findings, Say, Violation
from tests.rigs.quiet import quiet
from tests.rigs.rigserver import RigServer, rig_server
from tests.rigs.sweep.ground import ground_on
from tests.rigs.sweep.kinds import Kind
from tests.rigs.sweep.operations import OPERATIONS, Operation
from tests.rigs.sweep.trial import Trial, one_trial
from tests.rigs.wire.batch import ASYNCPGS_NOISE, heard

MOST_SUSPENSIONS = 80  # more than any operation has
TRANSPORTS = ("tcp", "unix", "tls") if which("openssl") else ("tcp", "unix")
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
MOST_VIOLATIONS = 50
# asyncpg says so where a ROLLBACK was cancelled, or a connect by TLS, and create_pool's pool as asyncpg's own
ASYNCPGS_OWN = (
    "Resetting connection with an active transaction",
    "Future exception was never retrieved: ConnectionError: unexpected connection_lost() call",
)


@dataclass(frozen=True, slots=True)
class Case:
    """One operation, disturbed in one way, at all of its suspensions one after the other."""

    operation: Operation
    kind: Kind
    transport: str
    loop: str

    def __str__(self) -> str:
        return f"{self.operation.name} by {self.kind.value} through {self.transport} on {self.loop}"


def cases() -> list[Case]:
    """All there are; a unix socket has no network that could fail."""
    every = itertools.product(OPERATIONS, Kind, TRANSPORTS, LOOPS)
    return [Case(*each) for each in every if each[2] != "unix" or not each[1].needs_network]


def run(seconds: float, seed: int, say: Say) -> Findings:
    """Go through the cases for about *seconds*, in an order that the seed chooses."""
    order = cases()
    random.Random(seed).shuffle(order)
    with quiet(), rig_server() as server:
        prepare(server)
        sweep = Sweep(server, seed, say)
        return sweep.go_on(order, seconds)


def prepare(server: RigServer) -> None:
    """Make what the operations need."""
    asyncio.run(migrate.upgrade(server.dsn))
    with server.witness() as witness:
        witness.execute("create table few (id int primary key, n bigint)")
        witness.execute("alter table few owner to app")


class Sweep:
    """A run of it."""

    def __init__(self, server: RigServer, seed: int, say: Say) -> None:
        self._server, self._seed, self._say = server, seed, say
        self.found = Findings("sweep")
        self._numbers = itertools.count(1)

    def go_on(self, order: list[Case], seconds: float) -> Findings:
        began = time.monotonic()
        done = 0
        for case in order:
            if time.monotonic() - began > seconds:
                break
            with asyncio.Runner(loop_factory=LOOPS[case.loop]) as runner:
                done += runner.run(self.sweep(case, began + seconds))
            if done % 50 == 0:
                self._say(f"sweep: {done} of {len(order)} cases, {len(self.found.violations)} violations")
        self.found.took_s = time.monotonic() - began
        self.found.figures |= {"cases": len(order), "cases_done": done, "is_complete": done >= len(order)}
        return self.found

    async def sweep(self, case: Case, ends_at: float) -> bool:
        """One case, with a pool for all of its trials; False: the time was over before it came to its end."""
        noise: list[str] = []
        with heard(noise):
            async with ground_on(self._server, case.transport) as ground, ground.pool(case.operation.pool) as pool:
                for at in range(MOST_SUSPENSIONS):
                    trial = await one_trial(case.operation, ground, pool, case.kind, at, next(self._numbers))
                    self._count(case, at, trial)
                    if (at and not trial.was_disturbed) or time.monotonic() > ends_at:
                        break
        is_through = not trial.was_disturbed
        self.found.done["cases"] += is_through
        self.found.done[f"cases through {case.transport}"] += is_through
        for text in noise:
            if text in ASYNCPGS_NOISE or text.startswith(ASYNCPGS_OWN):
                self.found.done["asyncpg's own words to the loop"] += 1
                continue
            self._violated("M6", f"{case}: reached the loop's exception handler: {text}")
        return is_through

    async def undisturbed(self, case: Case) -> None:
        """Its operation once, as it is."""
        async with ground_on(self._server, case.transport) as ground, ground.pool(case.operation.pool) as pool:
            trial = await one_trial(case.operation, ground, pool, case.kind, 0, next(self._numbers))
        assert not trial.wrong, trial.wrong

    def _count(self, case: Case, at: int, trial: Trial) -> None:
        self.found.done["runs"] += 1
        self.found.done[f"disturbed by {case.kind.value}"] += trial.was_disturbed
        self.found.faults.update(trial.rows)
        for text in trial.wrong:
            goal = "M5" if text.startswith("told") else "M6" if "ended after" in text else "M1"
            self._violated(goal, f"{case} at suspension {at}: {text}")

    def _violated(self, goal: str, text: str) -> None:
        self.found.done["violations"] += 1
        if len(self.found.violations) < MOST_VIOLATIONS:
            replay = f"python -m tests.rigs sweep --seconds 600 --seed {self._seed}"
            self.found.violations.append(Violation(goal, text[:500], replay))
