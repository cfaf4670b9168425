"""Storms of cancels and other trouble through both PgBouncers, beside statements that nothing may touch."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg

from dbpool import DatabasePool
from dbpool.embedded import EmbeddedPostgres
from tests.rigs.findings import Findings, Say, Violation
from tests.rigs.known import replay
from tests.rigs.pooler.callers import Callers, Lie, Seen, lies_about_rows
from tests.support.latecancel import late_cancels
from tests.support.pgbouncer import PROGRAMS, Bouncer, bouncer

ROUND_S: Final = 4.0
MOST_VIOLATIONS: Final = 20
_TABLE: Final = "drop table if exists storm; create table storm (row int, own int)"
_IN_POOLER_MODE: Final = 53
_LATE: Final = 54


def run(seconds: float, seed: int, say: Say) -> Findings:
    """Go on for about *seconds*: rounds of some seconds, each with a pooler of its own."""
    began = time.monotonic()
    return storm(
        seed, say, ROUND_S, replay("pooler", seconds, seed), lambda _: time.monotonic() - began + ROUND_S / 2 < seconds
    )


def storm(seed: int, say: Say, round_s: float, again: str, goes_on: Callable[[Findings], bool]) -> Findings:
    """Rounds of *round_s* seconds, one at least, for as long as *goes_on*; *again* is the command for the same."""
    found = Findings("pooler")
    began = time.monotonic()
    programs = [program for program in PROGRAMS if os.environ.get(program)]
    if not programs:
        say(f"pooler: none of {', '.join(PROGRAMS)} is in the environment: only late requests are tried")
    kinds: list[str | None] = [*programs, None]
    chance = random.Random(seed)
    logging.disable(logging.WARNING)
    try:
        with EmbeddedPostgres(listen=True) as server:
            while not found.done["rounds"] or (goes_on(found) and len(found.violations) < MOST_VIOLATIONS):
                kind = kinds[found.done["rounds"] % len(kinds)]
                lies = asyncio.run(_round(server.dsn(), kind, round_s, chance, found))
                found.violations += [Violation(lie.goal, lie.text, again) for lie in lies]
                say(f"pooler: {found.done['rounds']} rounds, {found.done['innocent statements']:,} innocent statements")
    finally:
        logging.disable(logging.NOTSET)
    found.took_s = time.monotonic() - began
    return found


async def _round(dsn: str, program: str | None, seconds: float, chance: random.Random, found: Findings) -> list[Lie]:
    """A pooler, two pools; None: one that passes requests to cancel on too late, for sessions of their own."""
    server = await asyncpg.connect(dsn)
    await server.execute(_TABLE)
    await server.close()
    seen, has_faults = Seen(), program is not None and found.done["rounds"] % 2 == 1
    found.done["rounds"] += 1
    try:
        if program is None:
            async with late_cancels(dsn, chance.uniform(0.001, 0.05)) as late:
                lies = await _storm(late.dsn, seen, seconds, chance, None, pooler="session")
                found.faults[_LATE] += late.passed_on
        else:
            settings = {"default_pool_size": chance.randint(1, 5), "max_client_conn": 200}
            async with bouncer(dsn, program, **settings) as pooler:
                trouble = _Trouble(pooler, dsn, chance, found) if has_faults else None
                lies = await _storm(pooler.address, seen, seconds, chance, trouble)
                found.faults[_IN_POOLER_MODE] += seen.done["innocent statements"]
                found.faults[_LATE] += seen.done["statements cancelled"] + seen.done["statements timed out"]
    finally:
        found.done.update(seen.done)
    return [*lies, *await lies_about_rows(dsn, seen)]


async def _storm(
    address: str,
    seen: Seen,
    seconds: float,
    chance: random.Random,
    trouble: _Trouble | None,
    pooler: str | None = None,
) -> list[Lie]:
    async with _pool(address, "one", pooler) as one, _pool(address, "other", pooler) as other:
        callers = [Callers(db, own, chance, seen, trouble is not None) for own, db in ((1, one), (2, other))]
        tasks = [asyncio.create_task(each.go_on(work)) for each in callers for work in each.works()]
        if trouble is not None:
            tasks.append(asyncio.create_task(trouble.go_on()))
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for each in callers:
            each.is_over = True
        if trouble is not None:
            trouble.is_over = True
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if error is not None and not isinstance(error, Lie):
            raise error
    return [error for error in ended if isinstance(error, Lie)]


@asynccontextmanager
async def _pool(address: str, name: str, pooler: str | None) -> AsyncIterator[DatabasePool]:
    db = DatabasePool(address, 6, name=name, pooler=pooler, connect_timeout=5, outage_patience=5)
    async with db:
        yield db


class _Trouble:
    """What an operator does to a pooler, and a server to it."""

    def __init__(self, pooler: Bouncer, dsn: str, chance: random.Random, found: Findings) -> None:
        self._pooler, self._dsn, self._chance, self._found = pooler, dsn, chance, found
        self.is_over = False

    async def go_on(self) -> None:
        kinds: list[Callable[[], object]] = [self.restart, self.pause, self.reconnect, self.end_sessions]
        while not self.is_over:
            await asyncio.sleep(self._chance.uniform(0.1, 0.5))
            kind = self._chance.choice(kinds)
            await kind()  # type: ignore[misc]
            self._found.done[f"poolers: {kind.__name__}"] += 1
        await self._resume()

    async def restart(self) -> None:
        self._pooler.kill()
        await asyncio.sleep(self._chance.uniform(0, 0.1))
        await self._pooler.start()

    async def pause(self) -> None:
        """For a while; PAUSE itself waits for the transactions under way."""
        pausing = asyncio.create_task(self._pooler.say("PAUSE"))
        await asyncio.wait([pausing], timeout=self._chance.uniform(0.05, 0.2))
        pausing.cancel()  # a RESUME does not end its waiting
        await asyncio.wait([pausing])
        await self._resume()

    async def _resume(self) -> None:
        """Until it says twice that it is not paused: the PAUSE may arrive after the first RESUME."""
        for _ in range(2):
            with suppress(asyncpg.PostgresError):
                while True:
                    await self._pooler.say("RESUME")
            await asyncio.sleep(0.02)

    async def reconnect(self) -> None:
        await self._pooler.say(self._chance.choice(("RECONNECT", "RELOAD")))

    async def end_sessions(self) -> None:
        server = await asyncpg.connect(self._dsn)
        await server.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'dbpool%'"
        )
        await server.close()
