"""A session cut, silenced and spoilt at as many spots as there is time for, in an order that the seed chooses."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TypeAlias

import psycopg

from tests.rigs.findings import Findings, Say, Violation
from tests.rigs.known import replay
from tests.rigs.quiet import quiet
from tests.rigs.rigserver import RigServer, rig_server
from tests.rigs.told import Told
from tests.rigs.wire.batch import ASYNCPGS_NOISE, Batch, together
from tests.rigs.wire.oracle import lies, wait_alone
from tests.rigs.wire.ours import Ours
from tests.rigs.wire.peers import AsyncpgPool, PsycopgPool
from tests.rigs.wire.spots import AtByte, End, Recorded, Spot
from tests.rigs.wire.trial import Contender, Trial, recorded

AT_ONCE = 12  # sessions: most of them wait for silence to end
TRIES = 3  # of a spot: on a busy machine a session may replace a connection before its fault's place comes
BATCH_S = 20.0  # after which what is stored is looked at
MOST_VIOLATIONS = 50
PEERS_FROM_S = 60.0
NUMBERS_EACH = 10_000_000  # more than any has sessions
EVERY_BYTE_FROM_S = 1200.0  # from which on a run first ends the session at each of its bytes
KINDS = ("lies", "bare errors", "hangs", "awaits beyond their limit", "pools of no more use")
Witness: TypeAlias = psycopg.Connection[tuple[int, ...]]


def run(seconds: float, seed: int, say: Say, *, of: Callable[[Spot], bool] = lambda _: True) -> Findings:
    """Cut, silence and spoil the session for about *seconds*; the same seed tries the same spots in the same order.

    Args:
        of: which spots to try.
    """
    with quiet(), rig_server() as server:
        return _run(server, seconds, seed, say, of)


def _run(server: RigServer, seconds: float, seed: int, say: Say, of: Callable[[Spot], bool]) -> Findings:
    """Ours first; the other pools, beside which it is to be seen, have a tenth of the time each, if that is enough."""
    theirs = seconds / 10 if seconds >= PEERS_FROM_S else 0.0
    contenders: tuple[Contender, ...] = (Ours(), AsyncpgPool(), PsycopgPool())
    ours, *peers = (
        Wire(server, each, seed, say, of, itertools.count(1 + turn * NUMBERS_EACH))
        for turn, each in enumerate(contenders)
    )
    ours.again = replay("wire", seconds, seed)
    found = asyncio.run(ours.go_on(seconds - 2 * theirs))
    found.figures["side_by_side"] = {"dbpool": ours.figures()}
    for peer in peers if theirs else ():
        found.figures["side_by_side"][peer.name] = apart(peer, theirs)
    return found


def apart(peer: Wire, seconds: float) -> dict[str, int]:
    """Its figures, from a process of its own: what is spoilt here has ended whole ones of asyncpg's."""
    context = multiprocessing.get_context("fork")
    told, tells = context.Pipe(duplex=False)
    process = context.Process(target=peer.tell_all, args=(seconds, tells))
    process.start()
    tells.close()
    figures = peer.figures()
    try:
        with suppress(EOFError):
            while True:
                figures = told.recv()
        process.join()
    finally:
        process.kill()
    return figures | {"ended the process": int(process.exitcode != 0)}


def _is_reset(spot: Spot) -> bool:
    return isinstance(spot, AtByte) and spot.end is End.RESET


class Wire:
    """A run of it, for one contender."""

    def __init__(
        self,
        server: RigServer,
        contender: Contender,
        seed: int,
        say: Say,
        of: Callable[[Spot], bool],
        numbers: Iterator[int],
    ) -> None:
        self._server, self._contender, self._seed, self._say, self._of = server, contender, seed, say, of
        self.found = Findings("wire")
        self.again = replay("wire", 60, seed)
        self._numbers = numbers
        self._wrong: Counter[str] = Counter()
        self._reached = self._resets = 0
        self._left: deque[Spot] = deque()
        self._missed: Counter[Spot] = Counter()
        self._told: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        return self._contender.name

    def tell_all(self, seconds: float, to: Connection) -> None:
        """Go on in this process, and send the figures after each batch."""
        self._told = lambda: to.send(self.figures())
        asyncio.run(self.go_on(seconds))

    async def go_on(self, seconds: float) -> Findings:
        spots = [each for each in (await self._recorded()).spots(self._seed) if self._of(each)]
        if seconds >= EVERY_BYTE_FROM_S:
            spots.sort(key=lambda spot: not _is_reset(spot))  # else as they were
        resets = sum(map(_is_reset, spots))
        began = time.monotonic()
        self._left = deque(spots)
        with self._server.witness() as witness:
            while (seconds_left := seconds - (time.monotonic() - began)) > 0 and self._left:
                await self._try(witness, min(seconds_left, BATCH_S))
                self._told()
                wrong = self.found.done["violations"]
                self._say(f"wire: {self._reached} of {len(spots)} spots of {self.name}, {wrong} violations")
        self.found.took_s = time.monotonic() - began
        is_complete = self._reached == len(spots)
        self.found.figures |= {"spots": len(spots), "spots_reached": self._reached, "is_complete": is_complete}
        self.found.figures["bytes_reset_at"] = f"{self._resets:,} of {resets:,}"
        return self.found

    def figures(self) -> dict[str, int]:
        """What there is to say of it beside others."""
        done = self.found.done
        told = ("sessions", "writes told", "writes of unknown outcome")
        return (
            {each: done[each] for each in told} | {kind: self._wrong[kind] for kind in KINDS} | {"ended the process": 0}
        )

    async def _recorded(self) -> Recorded:
        await recorded(
            self._contender, self._server.dsn, next(self._numbers)
        )  # which finds a server that knows nothing yet
        return await recorded(self._contender, self._server.dsn, next(self._numbers))

    async def _try(self, witness: Witness, for_s: float) -> None:
        batch = await self._batch(witness, self._taken(), AT_ONCE, for_s)
        for trial in batch.trials:
            if trial.spot is None or trial.has_happened:
                self._reached += 1
                self._resets += trial.spot is not None and _is_reset(trial.spot)
                continue
            self._missed[trial.spot] += 1
            if self._missed[trial.spot] < TRIES:
                self._left.append(trial.spot)
        for trial in (
            batch.late() if isinstance(self._contender, Ours) else ()
        ):  # again, alone: with nobody to wait for but its own limits
            if trial.spot is not None:
                alone = await self._batch(witness, iter([trial.spot]), 1, 0)
                for late in alone.late():
                    waits = [f"{wait.what} took {wait.over_s:.2f} s too long" for wait in late.caller.late]
                    text = ", ".join(late.failed + waits)
                    self._violated("M6", late, f"{text}; the loop itself was {alone.lag_s:.3f} s late")

    def _taken(self) -> Iterator[Spot]:
        while self._left:
            yield self._left.popleft()

    async def _batch(self, witness: Witness, spots: Iterator[Spot], at_once: int, for_s: float) -> Batch:
        dsn = self._server.dsn
        batch = await together(self._contender, dsn, spots, self._numbers, at_once=at_once, for_s=for_s)
        left = wait_alone(witness)
        self._wrong["awaits beyond their limit"] += len(batch.late())
        wrong = lies(witness, batch.trials)
        for trial in batch.trials:
            self._count(trial)
            self._wrong["lies"] += len(wrong.get(trial.caller.number, ())) if not trial.is_excused else 0
            self._wrong["bare errors"] += len(trial.caller.bare)
            self._wrong["hangs"] += trial.hangs
            self._wrong["pools of no more use"] += bool(trial.wrong) and not trial.hangs
            for text in trial.against():
                self._violated("M6" if trial.hangs else "M1", trial, text)
            for text in wrong.get(trial.caller.number, []):
                if trial.is_excused:
                    self.found.done["answers that no client could doubt"] += 1
                else:
                    self._violated("M5", trial, text)
        if left:
            self._violated("M2", None, left)
        for noise in batch.noise:
            if noise in ASYNCPGS_NOISE:
                self.found.done["asyncpg's own words to the loop"] += 1
                continue
            self._violated("M6", None, f"reached the loop's exception handler: {noise}")
        return batch

    def _count(self, trial: Trial) -> None:
        done, caller = self.found.done, trial.caller
        done["sessions"] += 1
        done["awaits"] += caller.awaits
        done["writes told"] += len(caller.writes)
        done["writes of unknown outcome"] += sum(each.told is Told.UNKNOWN for each in caller.writes.values())
        done["unknown outcomes resolved"] += caller.unknown_resolved
        if trial.has_happened and trial.spot is not None:
            done["cuts" if isinstance(trial.spot, AtByte) else "other faults"] += 1
            self.found.faults[trial.spot.row] += 1
        else:
            done["spots that this session did not reach"] += 1

    def _violated(self, goal: str, trial: Trial | None, text: str) -> None:
        self.found.done["violations"] += 1
        if len(self.found.violations) < MOST_VIOLATIONS:
            where = "" if trial is None else f"{trial.spot}: "
            self.found.violations.append(Violation(goal, f"{self._contender.name}, {where}{text}"[:500], self.again))
