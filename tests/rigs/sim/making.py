"""What a schedule is played with: a pool of random settings on a random server, its lanes, and a loop."""

from __future__ import annotations

import atexit
import random
from functools import cache
from typing import Final

import asyncpg

from dbpool.core.pacing import Rate
from dbpool.core.permits import Line
from dbpool.settings import PoolSettings
from tests.rigs.sim.callers import ACQUIRE_S, CONNECT_S, QUARANTINE_S, QUERY_S, RESET_S
from tests.rigs.sim.quick import QuickLoop
from tests.support.fakes import Pool, pool_of, some_settings
from tests.support.script import NEVER, Reply, Script

SETTINGS: Final = 400  # different ones
_IDLE: Final[list[QuickLoop]] = []  # loops whose last schedule broke nothing


def some_pool(rng: random.Random) -> Pool:
    script = Script(
        connect_s=rng.choice([0.001, 0.05, 0.5]),
        clean_s=rng.choice([0.001, 0.02, 0.02, NEVER]),
        cancel_s=rng.choice([0.001, 0.05, NEVER]),
        discard_s=rng.choice([0.001, 0.02, NEVER]),
        lingers_s=rng.choice([0.0, 0.001, 0.3, 1.0, NEVER]),
        replies={
            "fails": Reply(error=asyncpg.UniqueViolationError("twice")),
            "spoils": Reply(error=asyncpg.InvalidSQLStatementNameError("forgotten")),
            "slow": Reply(rng.choice([0.1, 0.5, NEVER])),
            "dies": Reply(kills=True),
            "numbers": Reply(takes=int),
        },
    )
    return pool_of(_some_settings(rng.randrange(SETTINGS)), script)


@cache
def _some_settings(number: int) -> PoolSettings:
    """To read them takes as long as a fifth of a schedule."""
    rng = random.Random(number)
    return some_settings(
        rng.choice([1, 1, 2, 2, 3]),
        max_waiting=rng.choice([None, None, 5]),
        min_connections=rng.choice([0, 1]),
        max_connecting=rng.randint(1, 3),
        reset_timeout=RESET_S,
        quarantine_timeout=QUARANTINE_S,
        connect_timeout=CONNECT_S,
        query_timeout=QUERY_S,
        acquire_timeout=ACQUIRE_S,
        outage_patience=rng.choice([0.2, 2.0]),
        max_lifetime=rng.choice([1.0, 1000.0]),
        max_idle=rng.choice([1.0, 1000.0]),
        reset=rng.choice(["smart", "smart", "always"]),
    )


def some_lines(rng: random.Random, pool: Pool) -> list[Line]:
    lines = [pool.leases.gate.line]
    for name in rng.choice(["", "", "a", "abc"]):
        lendable = pool.settings.max_connections - sum(line.reserved for line in lines)
        reserved = rng.randint(0, 1) if lendable > 1 else 0
        lines.append(pool.lane(name, rng.choice([None, 1, 2]), reserved, rng.choice([None, Rate(100)])))
    return lines


def borrowed_loop(seed: int | None) -> QuickLoop:
    """As good as new, which would take a tenth of the time of a schedule to make; see ``SteppingLoop``."""
    loop = _IDLE.pop() if _IDLE else QuickLoop()
    loop.start_over(seed)
    return loop


def give_back(loop: QuickLoop) -> None:
    """Have the next schedule use it."""
    _IDLE.append(loop)


@atexit.register
def _close_idle() -> None:
    for loop in _IDLE:
        loop.close()
