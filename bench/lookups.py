"""Point lookups by every contender in turn, round after round, on one event loop."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from bench.contenders import CONNECTIONS, DROP_INS, OPENINGS, PGBENCH, Access, Lookup, Unavailable
from bench.database import ROWS
from bench.manykeys import TOGETHER
from bench.order import order_of_round
from bench.pgbench import find_pgbench, run_pgbench
from bench.process import Asked, Turns, progress

# Its connections are new each time, and a new server process is slow at first: the more lookups, the less it matters.
_PGBENCH_TIMES = 5
# Where the system puts a client's and the server's processes is settled by chance when they start, and can make a third
# of a difference: so often does everyone start anew.
ROUNDS_OF_A_PROCESS = 2


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


def measure(request: dict[str, Any], *, loop: str) -> dict[str, Any]:
    """Run the rounds, every contender in a process of its own, a new one every few rounds.

    Args:
        request: ``dsn``, ``label``, ``contenders`` (names), ``tasks`` (list), ``rounds``, ``lookups`` (a block).
    Returns: ``blocks``, and ``skipped``: names with the reason.
    """
    blocks: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    numbers = range(request["rounds"])
    for first in numbers[::ROUNDS_OF_A_PROCESS]:
        with ExitStack() as stack:
            ready = _start_all(stack, request, loop, skipped)
            for number in numbers[first : first + ROUNDS_OF_A_PROCESS]:
                progress(f"{request['label']}: round {number + 1} of {request['rounds']}")
                blocks += map(asdict, _round(ready, request, number))
    return {"blocks": blocks, "skipped": skipped}


def _round(ready: dict[str, Turns | str], request: dict[str, Any], number: int) -> Iterator[Block]:
    for tasks in request["tasks"]:
        lookups = lookups_in_block(request["lookups"], tasks)
        for name in order_of_round(list(ready), number):
            contender = ready[name]
            if isinstance(contender, Turns):
                yield Block(name, tasks, number, lookups, **contender.ask({"tasks": tasks, "lookups": lookups}))
            else:
                more = lookups * _PGBENCH_TIMES
                elapsed_s, cpu_s = run_pgbench(contender, request["dsn"], tasks=tasks, lookups=more)
                yield Block(name, tasks, number, more, elapsed_s, cpu_s, None)


def lookups_in_block(lookups: int, tasks: int) -> int:
    """A task alone is slow and steady: a quarter of the lookups says as much."""
    return max(lookups // 4, 1) if tasks == 1 else lookups


def _start_all(stack: ExitStack, request: dict[str, Any], loop: str, skipped: dict[str, str]) -> dict[str, Turns | str]:
    """The contenders' processes, warm; pgbench's program. Notes in *skipped* who cannot take part, and why."""
    dsn = request["dsn"]
    processes = {
        name: stack.enter_context(Turns("lookups", {"contender": name, "dsn": dsn}, loop=loop))
        for name in request["contenders"]
        if name != PGBENCH
    }
    reasons = {name: contender.answer().get("unavailable") for name, contender in processes.items()}
    ready: dict[str, Turns | str] = dict(processes)
    if PGBENCH in request["contenders"]:
        program = ready[PGBENCH] = find_pgbench() or ""
        reasons[PGBENCH] = _try_pgbench(program, dsn)
    for name, reason in reasons.items():
        if reason:
            del ready[name]
            if name not in skipped:
                progress(f"{name} is left out: {reason}")
            skipped[name] = reason
    return ready


def _try_pgbench(program: str, dsn: str) -> str | None:
    """Why it cannot take part."""
    if not program:
        return "there is no such program here"
    try:
        run_pgbench(program, dsn, tasks=CONNECTIONS, lookups=500)
    except Unavailable as error:
        return str(error)
    return None


async def take_turns(request: dict[str, Any], turns: Asked) -> None:
    """What a contender's process does."""
    async with AsyncExitStack() as stack:
        try:
            from bench.core import CORE  # which measure by what is here
            from bench.orm import ORM

            opening = (OPENINGS | DROP_INS | TOGETHER | CORE | ORM)[request["contender"]]
            access = await stack.enter_async_context(opening(request["dsn"]))
            await run_block(access, 5 * CONNECTIONS, random_keys(50 * CONNECTIONS))
        except ImportError as error:
            turns.answer({"unavailable": f"not installed ({error.name})"})
        except Unavailable as error:
            turns.answer({"unavailable": str(error)})
        except Exception as error:  # a contender that cannot reach the server is no reason to measure none
            turns.answer({"unavailable": f"{type(error).__name__}: {error}".split("\n")[0]})
        else:
            turns.answer({})
            for turn in turns:
                elapsed_s, cpu_s, p99_s = await run_block(access, turn["tasks"], random_keys(turn["lookups"]))
                turns.answer({"elapsed_s": elapsed_s, "cpu_s": cpu_s, "p99_s": p99_s})


def random_keys(count: int) -> list[int]:
    return random.choices(range(1, ROWS + 1), k=count)


async def run_block(access: Access, tasks: int, keys: list[int]) -> tuple[float, float, float | None]:
    """Seconds, CPU seconds, and the 99th percentile of one call's seconds, if there are several."""
    if access.of_all is not None:
        return await _run_whole(access.of_all, keys)
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


async def _run_whole(of_all: Callable[[list[int]], Awaitable[object]], keys: list[int]) -> tuple[float, float, None]:
    gc.collect()
    cpu_from, started = time.process_time(), time.perf_counter()
    await of_all(keys)
    return time.perf_counter() - started, time.process_time() - cpu_from, None


async def _work(lookup: Lookup, keys: list[int], latencies: list[float]) -> None:
    now, note = time.perf_counter, latencies.append
    for key in keys:
        started = now()
        row = await lookup(key)
        note(now() - started)
    assert row
