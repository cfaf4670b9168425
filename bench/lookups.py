"""Point lookups by every contender in turn, round after round, on one event loop."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any

from bench.contenders import CONNECTIONS, OPENINGS, PGBENCH, Access, Lookup, Unavailable
from bench.database import ROWS
from bench.order import order_of_round
from bench.pgbench import find_pgbench, run_pgbench
from bench.process import progress

# Its connections are new each time, and a new server process is slow at first: the more lookups, the less it matters.
_PGBENCH_TIMES = 5


@dataclass(frozen=True, slots=True)
class Block:
    """One contender's lookups in one round."""

    contender: str
    tasks: int
    number: int  # of the round
    lookups: int
    elapsed_s: float
    cpu_s: float  # of this process; pgbench's own
    p99_s: float | None


async def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Run the rounds.

    Args:
        request: ``dsn``, ``label``, ``contenders`` (names), ``tasks`` (list), ``rounds``, ``lookups`` (a block).
    Returns: ``blocks``, and ``skipped``: names with the reason.
    """
    async with AsyncExitStack() as stack:
        ready, skipped = await _open_all(stack, request["dsn"], request["contenders"])
        blocks = []
        for number in range(request["rounds"]):
            progress(f"{request['label']}: round {number + 1} of {request['rounds']}")
            for tasks in request["tasks"]:
                lookups = lookups_in_block(request["lookups"], tasks)
                keys = [random.randrange(1, ROWS + 1) for _ in range(lookups)]
                for name in order_of_round(list(ready), number):
                    access = ready[name]
                    if isinstance(access, str):
                        more = lookups * _PGBENCH_TIMES
                        elapsed_s, cpu_s = run_pgbench(access, request["dsn"], tasks=tasks, lookups=more)
                        blocks.append(Block(name, tasks, number, more, elapsed_s, cpu_s, None))
                    else:
                        blocks.append(Block(name, tasks, number, lookups, *await _run_block(access, tasks, keys)))
    return {"blocks": [asdict(block) for block in blocks], "skipped": skipped}


def lookups_in_block(lookups: int, tasks: int) -> int:
    """A task alone is slow and steady: a quarter of the lookups says as much."""
    return max(lookups // 4, 1) if tasks == 1 else lookups


async def _open_all(
    stack: AsyncExitStack, dsn: str, names: list[str]
) -> tuple[dict[str, Access | str], dict[str, str]]:
    ready: dict[str, Access | str] = {}
    skipped: dict[str, str] = {}
    for name in names:
        try:
            if name == PGBENCH:
                ready[name] = find_pgbench() or _refuse("there is no such program here")
                run_pgbench(str(ready[name]), dsn, tasks=CONNECTIONS, lookups=500)
            else:
                access = await stack.enter_async_context(OPENINGS[name](dsn))
                ready[name] = access
                await _run_block(access, 5 * CONNECTIONS, random.choices(range(1, ROWS + 1), k=50 * CONNECTIONS))
        except ImportError as error:
            skipped[name] = f"not installed ({error.name})"
        except Unavailable as error:
            skipped[name] = str(error)
        except Exception as error:  # a contender that cannot reach the server is no reason to measure none
            skipped[name] = f"{type(error).__name__}: {error}".split("\n")[0]
        if name in skipped:
            ready.pop(name, None)
            progress(f"{name} is left out: {skipped[name]}")
    return ready, skipped


def _refuse(why: str) -> str:
    raise Unavailable(why)


async def _run_block(access: Access, tasks: int, keys: list[int]) -> tuple[float, float, float]:
    """Seconds, CPU seconds, and the 99th percentile of one call's seconds."""
    workers = min(tasks, len(keys)) if access.is_shared else min(tasks, len(access.lookups))
    shares = [keys[worker::workers] for worker in range(workers)]
    latencies: list[float] = []
    gc.collect()  # nobody pays for another's garbage
    cpu_from, started = time.process_time(), time.perf_counter()
    await asyncio.gather(
        *(_work(access.lookups[worker % len(access.lookups)], share, latencies) for worker, share in enumerate(shares))
    )
    elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_from
    latencies.sort()
    return elapsed_s, cpu_s, latencies[len(latencies) * 99 // 100]


async def _work(lookup: Lookup, keys: list[int], latencies: list[float]) -> None:
    now, note = time.perf_counter, latencies.append
    for key in keys:
        started = now()
        row = await lookup(key)
        note(now() - started)
    assert row
