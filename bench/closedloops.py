"""The same script on the same tables by pgbench and by drivers of ``dbpool loadtest``, ten clients in a closed loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final

from bench.contenders import PGBENCH
from bench.loadtestruns import Document, document
from bench.pgbench import find_pgbench
from bench.process import progress
from bench.tables import Table

SCRIPTS: Final = ("select-only", "tpcb-like")
DRIVERS: Final = ("asyncpg", "dbpool", "psycopg-pool", PGBENCH)
CLIENTS: Final = 10
SCALE: Final = 10  # as many branches as clients: with one, updates would wait for each other all the time


def measure(dsn: str, *, rounds: int, seconds: float) -> tuple[dict[str, Any], list[Document]]:
    """By script: what was done without a server, and by each driver; beside it the runs' documents.

    The tables must be there, as ``dbpool loadtest init`` makes them with SCALE.
    """
    found: dict[str, Any] = {script: {"noop": [], "points": []} for script in SCRIPTS}
    documents = []
    for number in range(rounds):
        for script in SCRIPTS:
            progress(f"{script} by {CLIENTS} clients, {number + 1} of {rounds}")
            run = _by_drivers(dsn, script, seconds=seconds, seed=number)
            found[script]["noop"].append(run["calibration"]["noop_tps"])
            found[script]["points"] += [_figures(point) for point in run["points"]]
            documents.append(run)
    return found, documents


def _by_drivers(dsn: str, script: str, *, seconds: float, seed: int) -> Document:
    there = [name for name in DRIVERS if name != PGBENCH or find_pgbench() is not None]
    drivers = [word for name in there for word in ("--driver", name)]
    load = ("--builtin", script, "--clients", str(CLIENTS), "--time", f"{seconds:g}", "--warmup", "0.5")
    return document(dsn, "bench", *load, *drivers, "--order", "random", "--random-seed", str(seed))


def _figures(point: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "driver": point["driver"],
        "tps": point["tps"]["mean"],
        "p50": point["response_ms"]["p50"],
        "p99": point["response_ms"]["p99"],
        "bound": point["generator"]["bound"],
    }


def tables(measured: Mapping[str, Any]) -> Iterator[Table]:
    for script, found in measured.items():
        points = {name: [each for each in found["points"] if each["driver"] == name] for name in DRIVERS}
        tps = {name: median(each["tps"] for each in those) for name, those in points.items() if those}
        ceiling, pgbench = median(found["noop"]), tps.get(PGBENCH)
        rows = [(f"--driver {name}", *_cells(tps[name], ceiling, pgbench), *_row(points[name])) for name in tps]
        rows.append(("no server: the generator's ceiling", *_cells(ceiling, ceiling, pgbench), "", "", ""))
        columns = ("by", "tps", "of that ceiling", "of pgbench", "p50", "p99", "said")
        yield Table(f"Load test: {script}, {CLIENTS} clients in a closed loop", columns, rows)


def _cells(tps: float, ceiling: float, pgbench: float | None) -> tuple[str, str, str]:
    return f"{tps:,.0f}", f"{tps / ceiling:.0%}", "" if pgbench is None else f"{tps / pgbench:.2f} x"


def _row(points: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    said = sum(each["bound"] for each in points)
    return (
        *(_ms([each[name] for each in points]) for name in ("p50", "p99")),
        f"GENERATOR_BOUND in {said} of {len(points)}" if said else "",
    )


def _ms(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.2f} ms" if known else "n too small"
