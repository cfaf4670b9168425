"""The whole run: every figure that was asked for, in processes of their own."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from typing import Any

from bench import (
    adaptive,
    allkeys,
    core,
    distance,
    dropin,
    fairness,
    idle,
    jobs,
    lanes,
    loadtest,
    lookups,
    mixed,
    orm,
    streamed,
    telemetry,
    together,
    writes,
)
from bench.database import bench_database, server_version
from bench.imports import import_times
from bench.machine import describe_machine
from bench.options import Options
from bench.process import MeasurementFailed, measure, progress
from dbpool.embedded import database_server

# Every contender keeps its connections for the whole run, so that each round meets all of them warm.
_SERVER_SETTINGS = {"max_connections": "150"}
# Leaving asyncpg's queue takes the longer the longer it is: cancelling all of a long one would take minutes.
_SLOW_TO_LEAVE = ("asyncpg.Pool",)


def measure_all(options: Options) -> dict[str, Any]:
    """Returns: machine, settings, seconds taken, and what was measured by its name; all fit for JSON."""
    started = time.monotonic()
    loops = [loop for loop in options.loops if loop != "uvloop" or _has_uvloop()]
    results: dict[str, Any] = {"settings": {**asdict(options), "write": None, "loops": loops}}
    with database_server(settings=_SERVER_SETTINGS) as server_dsn, bench_database(server_dsn) as dsn:
        embedded = not os.environ.get("DATABASE_URL")
        results["machine"] = describe_machine(asyncio.run(server_version(dsn)), embedded=embedded)
        for loop in loops:
            for figure, work in _on_loop(options, dsn, loop).items():
                if figure in options.figures:
                    _put(results.setdefault(figure, {}), loop, work)
        for figure, work in _once(options, dsn).items():
            if figure in options.figures:
                _put(results, figure, work)
        if "waiters" in options.figures:
            results["waiters"] = {"count": options.waiters, "places": _waiters(options, dsn)}
    results["took_s"] = round(time.monotonic() - started)
    return results


def _on_loop(options: Options, dsn: str, loop: str) -> dict[str, Callable[[], Any]]:
    """How to measure each figure that depends on the event loop."""
    rounds = {"dsn": dsn, "label": loop, "rounds": options.rounds, "lookups": options.lookups}
    everyone = {**rounds, "contenders": options.contenders, "tasks": options.tasks}
    of_process = {"processes": options.lane_processes, "rounds": options.lane_rounds, "lookups": options.lane_lookups}
    fair_rounds = {**rounds, "rounds": options.fair_rounds, "seconds": options.fair_s}
    job_rounds = {**rounds, "rounds": options.job_rounds, "items": options.job_items, "again": options.job_again}
    together_rounds = {**rounds, "lookups": options.together_lookups}
    streams = {**rounds, "rounds": options.streamed_rounds, "items": options.streamed_items}
    loads = {**rounds, "rounds": options.load_rounds, "rows": options.load_rows}
    return {
        "idle": partial(idle.measure_often, {**rounds, "blocks": options.idle_blocks}, loop=loop),
        "lookups": partial(lookups.measure, everyone, loop=loop),
        "dropin": partial(dropin.measure, rounds, loop=loop),
        "core": partial(core.measure, rounds, loop=loop),
        "together": partial(together.measure, together_rounds, loop=loop),
        "allkeys": partial(allkeys.measure, together_rounds, loop=loop),
        "mixed": partial(mixed.measure, together_rounds, loop=loop),
        "distance": partial(distance.measure, {**rounds, "lookups": options.far_lookups}, loop=loop),
        "streamed": partial(streamed.measure_rounds, streams, loop=loop),
        "orm": partial(orm.measure, rounds, loop=loop),
        "telemetry": partial(telemetry.measure_rounds, rounds, loop=loop),
        "lanes": partial(lanes.measure_often, {**rounds, **of_process}, loop=loop),
        "fairness": partial(fairness.measure_rounds, fair_rounds, loop=loop),
        "export": partial(measure, "exports", {**rounds, "rounds": options.export_rounds}, loop=loop),
        "jobs": partial(jobs.measure_rounds, job_rounds, loop=loop),
        "load": partial(measure, "loads", loads, loop=loop),
    }


def _once(options: Options, dsn: str) -> dict[str, Callable[[], Any]]:
    """How to measure the figures that do not; those of waiters are many."""
    return {
        "import": partial(import_times, options.import_runs),
        "recording": partial(measure, "recording", {"blocks": options.recording_blocks}),
        "adaptive": partial(adaptive.measure_rounds, dsn, options.adaptive),
        "writes": partial(writes.measure_rounds, dsn, options.written_rows, options.write_rounds),
        "loadtest": partial(loadtest.measure_all, dsn, options.loadtest),
    }


def _waiters(options: Options, dsn: str) -> dict[str, dict[str, Any]]:
    few, many, repeats = options.waiters // 10, options.waiters, options.cancel_repeats
    figures: dict[str, dict[str, Any]] = {}
    for place in options.waiting_in:
        of_place = figures[place] = {}
        asked = {"memory": (many, 0), "few": (few, repeats), "many": (many, repeats)}
        if place in _SLOW_TO_LEAVE:
            asked = {"memory": (many, 0), "few": (few, 1)}
        for name, (count, times) in asked.items():
            request = {"dsn": dsn, "place": place, "waiters": count, "repeats": times}
            _put(of_place, name, partial(measure, "waiters", request))
    return figures


def _put(results: dict[str, Any], name: str, work: Callable[[], Any]) -> None:
    """One figure that cannot be measured is no reason to lose the others."""
    try:
        results[name] = work()
    except MeasurementFailed as error:
        progress(f"{name} was not measured: {error}")


def _has_uvloop() -> bool:
    if find_spec("uvloop") is None:
        progress("uvloop is left out: not installed")
        return False
    return True
