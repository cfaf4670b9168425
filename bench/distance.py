"""Lookups of a server that is a network away: what going together saves is round trips."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any, Final

import asyncpg

from bench import lookups
from bench.delay import far_away
from bench.ratios import Line, as_table, lines
from bench.tables import Table
from bench.targets import TARGET_TASKS, Judged, Target, judge

ONE_WAY_S: Final = 0.001  # with what the proxy and the server take themselves a round trip takes 2.6 ms
MAP, COALESCE, ALONE, POOL = "dbpool-map", "dbpool-coalesce", "dbpool", "asyncpg.Pool"
_OF_ALL: Final = ("any", "psycopg-pipeline")  # by one call, as map
TARGETS: Final[dict[str, dict[str, Target]]] = {COALESCE: {ALONE: Target(at_least=8.0, unit=" x")}, MAP: {}}
_BESIDE: Final = {COALESCE: (COALESCE, ALONE, POOL), MAP: (MAP, ALONE, POOL, *_OF_ALL)}
_ASKED: Final = 200  # times, how long the round trip is


def measure(request: dict[str, Any], *, loop: str) -> dict[str, Any]:
    """Rounds like those of ``bench.lookups``, through a proxy that takes its time.

    Args:
        request: ``dsn``, ``label``, ``rounds``, ``lookups`` (a block).
    Returns: what that returns, and ``round_trip_s``, of a connection that nobody else uses.
    """
    with far_away(request["dsn"], one_way_s=ONE_WAY_S) as dsn:
        round_trip_s = asyncio.run(_round_trip_s(dsn))
        contenders = [ALONE, COALESCE, MAP, POOL, *_OF_ALL]
        far = {**request, "dsn": dsn, "contenders": contenders, "tasks": [TARGET_TASKS]}
        return {**lookups.measure(far, loop=loop), "round_trip_s": round_trip_s}


async def _round_trip_s(dsn: str) -> float:
    connection = await asyncpg.connect(dsn)
    try:
        ask = (await connection.prepare("select 1")).fetchval
        seen = []
        for _ in range(_ASKED):
            started = time.perf_counter()
            await ask()
            seen.append(time.perf_counter() - started)
    finally:
        await connection.close()
    return median(seen)


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    for loop, measured in results.items():
        for ours, targets in TARGETS.items():
            title = f"{loop}: {_what(measured, ours)}"
            yield as_table(title, _lines(measured, ours), ours={ours}, targets=targets, claim="it is")


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, measured in results.items():
        for ours, targets in TARGETS.items():
            for line in _lines(measured, ours):
                if target := targets.get(line.contender):
                    yield judge(f"{loop}: {_what(measured, ours)} over each alone", line.ratio, target)


def _lines(measured: Mapping[str, Any], ours: str) -> list[Line]:
    return [line for line in lines(measured["blocks"], TARGET_TASKS, ours=ours) if line.contender in _BESIDE[ours]]


def _what(measured: Mapping[str, Any], ours: str) -> str:
    calls = f"map beside {TARGET_TASKS} tasks" if ours == MAP else f"coalesced calls of {TARGET_TASKS} tasks"
    return f"a round trip of {measured['round_trip_s'] * 1e3:.1f} ms, {calls}"
