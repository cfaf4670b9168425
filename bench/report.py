"""The results as tables, each figure beside its target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isnan, nan
from typing import Any

from bench import (
    adaptive,
    allkeys,
    core,
    distance,
    dropin,
    exports,
    fairness,
    jobs,
    lanes,
    loads,
    loadtest,
    mixed,
    orm,
    recording,
    streamed,
    telemetry,
    together,
    writes,
)
from bench.contenders import LABELS
from bench.idle import COALESCE
from bench.ratios import OURS, as_table, lines
from bench.tables import Table
from bench.targets import CANCEL, FASTER_THAN, IDLE, IDLE_COALESCE, IMPORT, LINEAR, TARGET_TASKS, WAITER, Judged, judge
from bench.waiters import ORDERS

Results = Mapping[str, Any]


def tables(results: Results) -> list[Table]:
    return [
        *_lookup_tables(results),
        *_idle_table(results),
        *(table for part, measured in _parts(results) for table in part.tables(measured)),
        *_waiter_tables(results),
        *_import_table(results),
    ]


def targets_table(judged: list[Judged]) -> Table:
    rows = [(each.what, each.figure, str(each.target), each.verdict) for each in judged]
    return Table("Targets", ("figure", "measured", "target", "verdict"), rows)


def judged(results: Results) -> list[Judged]:
    """Every figure that has a target and was measured."""
    return [
        *_judged_ratios(results),
        *_judged_idle(results),
        *(each for part, measured in _parts(results) for each in part.judged(measured)),
        *_judged_waiters(results),
        *_judged_import(results),
    ]


def _parts(results: Results) -> Iterator[tuple[Any, Any]]:
    """The modules that show and judge what they measure themselves, each with that."""
    of_lookups = (dropin, core, orm, together, allkeys, mixed, distance, streamed, telemetry, lanes, fairness)
    for part in (*of_lookups, exports, jobs, loads, recording, adaptive, writes, loadtest):
        figure = {exports: "export", loads: "load"}.get(part) or part.__name__.removeprefix("bench.")
        if measured := results.get(figure):
            yield part, measured


def _judged_ratios(results: Results) -> Iterator[Judged]:
    for loop, measured in results.get("lookups", {}).items():
        for line in lines(measured["blocks"], TARGET_TASKS):
            if target := FASTER_THAN.get(line.contender):
                what = f"{loop}, {TARGET_TASKS} tasks: dbpool over {line.contender}"
                yield judge(what, line.ratio, target)


def _judged_idle(results: Results) -> Iterator[Judged]:
    for loop, us in results.get("idle", {}).items():
        for other in ("bare", "bare-tuned"):
            if f"over {other}" in us:
                yield judge(f"{loop}, one task on an idle pool: over {other}", us[f"over {other}"], IDLE)
        if f"over {COALESCE}" in us:
            yield judge(f"{loop}, one task on an idle pool: with coalesce=True", -us[f"over {COALESCE}"], IDLE_COALESCE)


def _judged_waiters(results: Results) -> Iterator[Judged]:
    if "waiters" not in results:
        return
    count, of_place = results["waiters"]["count"], results["waiters"]["places"]
    futures = {order: many_s / few_s for order, few_s, many_s in _seconds(of_place, "future")}
    for place in ("fetchrow", "gate"):
        beyond = _bytes(of_place, place) - _bytes(of_place, "future")
        if not isnan(beyond):
            yield judge(f"{count:,} waiting in {_place(place)}: each beyond its task", beyond, WAITER)
        for order, few_s, many_s in _seconds(of_place, place):
            if isnan(many_s):
                continue
            yield judge(f"cancelling {count:,} in {_place(place)}, {order}", many_s, CANCEL)
            if not isnan(growth := many_s / few_s / futures.get(order, nan)):
                yield judge(f"its growth from {count // 10:,}, over that of bare futures", growth, LINEAR)


def _judged_import(results: Results) -> Iterator[Judged]:
    if "import" in results:
        yield judge("import dbpool beyond import asyncpg", results["import"]["dbpool"], IMPORT)


def _lookup_tables(results: Results) -> Iterator[Table]:
    for loop, measured in results.get("lookups", {}).items():
        for tasks in results["settings"]["tasks"]:
            title = f"{loop}: point lookups, {tasks:,} task{'s' * (tasks != 1)}"
            targets = FASTER_THAN if tasks == TARGET_TASKS else {}
            yield as_table(title, lines(measured["blocks"], tasks), ours={OURS}, targets=targets)


def _idle_table(results: Results) -> Iterator[Table]:
    rows = [
        (f"{loop}: {LABELS[name]}", f"{us[name]:.1f}", "" if name == OURS else f"{us[f'over {name}']:+.1f}")
        for loop, us in results.get("idle", {}).items()
        for name in LABELS
        if name in us
    ]
    if rows:
        yield Table("One task, nobody else there", ("contender", "µs a call", "dbpool takes"), rows)


def _waiter_tables(results: Results) -> Iterator[Table]:
    if "waiters" not in results:
        return
    count, of_place = results["waiters"]["count"], results["waiters"]["places"]
    least = _bytes(of_place, "future")
    rows = [
        (_place(place), _shown(_bytes(of_place, place), ".0f"), _shown(_bytes(of_place, place) - least, ".0f"))
        for place in of_place
    ]
    yield Table(f"Bytes of each of {count:,} waiting tasks", ("waiting in", "with the task", "beyond a future"), rows)
    columns = ("waiting in", "order", f"{count // 10:,}", f"{count:,}", "ratio")
    cancels = [
        (_place(place), order, _shown(few_s, ".3f"), _shown(many_s, ".3f"), _shown(many_s / few_s, ".1f"))
        for place in of_place
        for order, few_s, many_s in _seconds(of_place, place)
    ]
    yield Table("Seconds to cancel everyone in line", columns, cancels)


def _bytes(of_place: Results, place: str) -> float:
    return float(of_place.get(place, {}).get("memory", {}).get("bytes", nan))


def _seconds(of_place: Results, place: str) -> Iterator[tuple[str, float, float]]:
    """For each order, the seconds of a tenth of the waiters and of all; NaN where these were not measured."""
    figures = of_place.get(place, {})
    if "few" in figures:
        for order in ORDERS:
            yield order, figures["few"][order], figures.get("many", {}).get(order, nan)


def _shown(figure: float, how: str) -> str:
    return "" if isnan(figure) else format(figure, how)


def _place(place: str) -> str:
    return {"future": "a bare future", "fetchrow": "db.fetchrow()", "gate": "a Gate"}.get(place, place)


def _import_table(results: Results) -> Iterator[Table]:
    if "import" in results:
        rows = [(f"import {name}", f"{ms:.1f} ms") for name, ms in results["import"].items()]
        yield Table("Import time, each after the one above it", ("", "median"), rows)
