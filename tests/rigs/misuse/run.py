"""What callers, sessions and servers do wrong without any broken network, again and again."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import re
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress

import uvloop

from tests.rigs.findings import Findings, Say, Violation
from tests.rigs.known import replay
from tests.rigs.looplag import watched_lag
from tests.rigs.misuse import (
    asking,
    cancelling,
    changing,
    conflicting,
    filling,
    holding,
    leaving,
    limits,
    living,
    serving,
)
from tests.rigs.misuse.callers import company
from tests.rigs.misuse.cases import CASES, Case, Wrong
from tests.rigs.misuse.ground import Ground, prepared
from tests.rigs.misuse.kinds import KINDS
from tests.rigs.misuse.stage import Stage, stage_of
from tests.rigs.quiet import quiet
from tests.rigs.rigserver import rig_server
from tests.rigs.wire.batch import ASYNCPGS_NOISE, heard

SECTIONS = (asking, cancelling, changing, conflicting, filling, holding, leaving, limits, living, serving)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
BATCH_S = 10.0  # on one loop, with the same pools
LOOK_EVERY = 5  # rounds
CASE_S = 20.0  # no fault takes a tenth of it
MOST_VIOLATIONS = 50
# asyncpg says so where a ROLLBACK was cancelled, and create_pool's pool as asyncpg's own; where a request to cancel is
# collected after its loop (row 69), by one of three names
ASYNCPGS_OWN = re.compile(
    "Resetting connection with an active transaction"
    r"|ignored: RuntimeError: Event loop is closed in (\w+\.)?_cancel$"
)


def run(seconds: float, seed: int, say: Say) -> Findings:
    """Make faults of every row for about *seconds*, in an order that the seed chooses."""
    with quiet(), frozen(), warnings.catch_warnings(), rig_server() as server:
        warnings.simplefilter("ignore")  # of what is forgotten, and is meant to be
        with prepared(server) as ground:
            return Misuse(ground, CASES, seconds, seed, say).go_on()


@contextmanager
def frozen() -> Iterator[None]:
    """Let nobody look through what is there already, which takes longer than most faults and has no part in any."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def ignored(noise: list[str]) -> Iterator[None]:
    """Note what is raised in the block where nobody can catch it."""

    def note(raised: sys.UnraisableHookArgs) -> None:
        where = getattr(raised.object, "__qualname__", type(raised.object).__name__)
        noise.append(f"ignored: {raised.exc_type.__name__}: {raised.exc_value} in {where}")

    before, sys.unraisablehook = sys.unraisablehook, note
    try:
        yield
    finally:
        sys.unraisablehook = before


class Misuse:
    """A run of it, of some *cases*."""

    def __init__(self, ground: Ground, cases: Sequence[Case], seconds: float, seed: int, say: Say) -> None:
        self._ground, self._cases, self._say = ground, cases, say
        self._seconds, self._seed = seconds, seed
        self.found = Findings("misuse")

    def go_on(self) -> Findings:
        """For as long as it was to take, or until Ctrl-C."""
        began = time.monotonic()
        with suppress(KeyboardInterrupt):
            self._go_on(began + self._seconds)
        self.found.took_s = time.monotonic() - began
        self.found.figures |= {"cases": len(self._cases), "rows": len({case.row for case in self._cases})}
        return self.found

    def _go_on(self, ends_at: float) -> None:
        batch_s = min(BATCH_S, self._seconds / len(LOOPS))
        for number, loop in enumerate(itertools.cycle(LOOPS)):
            with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                runner.run(self._batch(loop, number, min(ends_at, time.monotonic() + batch_s)))
            done = self.found.done
            self._say(f"misuse: {done['rounds']} rounds, {done['faults']} faults, {done['violations']} violations")
            if time.monotonic() > ends_at - batch_s / 2 and number + 1 >= len(LOOPS):
                break

    async def _batch(self, loop: str, number: int, ends_at: float) -> None:
        """Some rounds on one loop; one at the least."""
        noise: list[str] = []
        self._ground.lay(self._cases)
        with heard(noise), ignored(noise):
            async with watched_lag() as lag, AsyncExitStack() as stack:
                stages = []
                for kind in KINDS:
                    rng = random.Random(f"{self._seed} {number} {kind.name}")
                    stages.append(await stack.enter_async_context(stage_of(kind, self._ground.dsn, rng, lag)))
                for rounds in itertools.count(1):
                    await asyncio.gather(*(self._round(stage, loop, is_first=rounds == 1) for stage in stages))
                    self.found.done["rounds"] += 1
                    is_last = time.monotonic() > ends_at
                    if rounds % LOOK_EVERY == 0 or is_last:
                        await self._look(stages, loop)
                    if is_last:
                        break
            await self._look_once_more(loop)
        for text in noise:
            if text in ASYNCPGS_NOISE or ASYNCPGS_OWN.match(text):
                self.found.done["known words to the loop or the interpreter"] += 1
                continue
            self._violated("M6", f"on {loop}: reached the loop's or the interpreter's handler: {text}")

    async def _round(self, stage: Stage, loop: str, *, is_first: bool) -> None:
        """The faults of a stage, one after the other."""
        cases = [case for case in self._cases if case.kind is stage.kind]
        stage.rng.shuffle(cases)
        for case in cases:
            for _ in range(self._times(case, is_first=is_first)):
                if not stage.is_broken:
                    await self._judged(case, stage, loop)

    def _times(self, case: Case, *, is_first: bool) -> int:
        """All rows are to be met about as often: one in a round, but that some cases meet theirs often, or not always.

        On new pools every case is tried.
        """
        ahead = self.found.faults[case.row] - self.found.done["rounds"]
        return 2 if ahead < -1 else 1 if ahead <= 0 or is_first else 0

    async def _judged(self, case: Case, stage: Stage, loop: str) -> None:
        """One; where something was wrong, the stage is used again only if it is at rest."""
        try:
            async with asyncio.timeout(CASE_S) as limit:
                await self._fault(case, stage)
            return
        except Wrong as wrong:
            self._violated(wrong.goal, f"{case} on {loop}: {wrong}")
        except Exception as error:
            what = f"did not end in {CASE_S:.0f} s" if limit.expired() else f"a bare {type(error).__name__}: {error}"
            self._violated("M6", f"{case} on {loop}: {what}")
        try:
            stage.is_broken = stage.is_broken or bool(await stage.wrong())
        except Exception:
            stage.is_broken = True

    async def _fault(self, case: Case, stage: Stage) -> None:
        """One, beside ordinary callers; then the pool must be as if nobody had been there."""
        stage.closed.clear()
        async with company(stage):
            times = await case.make(stage)
        if wrong := await stage.wrong():
            stage.is_broken = True
            raise Wrong("M1", wrong)
        if case.is_harmless and stage.closed:
            raise Wrong("M1", f"it has cost connections: {', '.join(stage.closed)}")
        self.found.faults[case.row] += times
        self.found.done["faults"] += times
        self.found.done[f"faults: {case.make.__name__}"] += times
        self.found.done["looks at a pool"] += 1

    async def _look(self, stages: Sequence[Stage], loop: str) -> None:
        """What the server sees of pools at rest."""
        self.found.done["looks at the server"] += 1
        for wrong in await self._ground.wrong({stage.kind.name: stage.kind.bound for stage in stages}):
            self._violated("M2", f"on {loop}: {wrong}")
        for stage in stages:
            for refusal in stage.refusals:
                self._violated("M2", f"{stage.kind.name} on {loop}: the server refused a session: {refusal}")
            stage.refusals.clear()

    async def _look_once_more(self, loop: str) -> None:
        for wrong in await self._ground.wrong({kind.name: 0 for kind in KINDS}):
            self._violated("M2", f"closed, on {loop}: {wrong}")

    def _violated(self, goal: str, text: str) -> None:
        self.found.done["violations"] += 1
        if len(self.found.violations) < MOST_VIOLATIONS:
            self.found.violations.append(Violation(goal, text[:500], replay("misuse", self._seconds, self._seed)))
