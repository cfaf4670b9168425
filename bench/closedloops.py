"""The same script on the same tables by pgbench and by drivers of ``dbpool loadtest``, ten clients in a closed loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final

from bench.contenders import PGBENCH, Unavailable
from bench.loadtestruns import Document, document
from bench.pgbench import find_pgbench, script_tps
from bench.process import progress
from bench.tables import Table
from dbpool.loadtest.server.tables import builtin_text

SCRIPTS: Final = ("select-only", "tpcb-like")
DRIVERS: Final = ("asyncpg", "dbpool", "psycopg-pool")
CLIENTS: Final = 10
SCALE: Final = 10  # as many branches as clients: with one, updates would wait for each other all the time


def measure(dsn: str, *, rounds: int, seconds: float) -> tuple[dict[str, Any], list[Document]]:
    """By script: throughputs of pgbench and without a server, what each driver did; beside it the runs' documents.

    The tables must be there, as ``dbpool loadtest init`` makes them with SCALE.
    """
    found: dict[str, Any] = {script: {"pgbench": [], "noop": [], "points": []} for script in SCRIPTS}
    documents = []
    for number in range(rounds):
        for script in SCRIPTS:
            progress(f"{script} by {CLIENTS} clients, {number + 1} of {rounds}")
            if (tps := _by_pgbench(dsn, script, seconds=seconds)) is not None:
                found[script]["pgbench"].append(tps)
            run = _by_drivers(dsn, script, seconds=seconds, seed=number)
            found[script]["noop"].append(run["calibration"]["noop_tps"])
            found[script]["points"] += [_figures(point) for point in run["points"]]
            documents.append(run)
    return found, documents


def _by_pgbench(dsn: str, script: str, *, seconds: float) -> float | None:
    program = find_pgbench()
    if program is None:
        return None
    try:
        _, text = builtin_text(script)
        return script_tps(program, dsn, text, clients=CLIENTS, seconds=seconds, scale=SCALE)
    except Unavailable as error:
        progress(str(error))
        return None


def _by_drivers(dsn: str, script: str, *, seconds: float, seed: int) -> Document:
    drivers = [word for name in DRIVERS for word in ("--driver", name)]
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
        lines = {name: [each for each in found["points"] if each["driver"] == name] for name in DRIVERS}
        ceiling = median(found["noop"])
        pgbench = median(found["pgbench"]) if found["pgbench"] else None
        rows = [(f"--driver {name}", *_row(lines[name], ceiling, pgbench)) for name in DRIVERS]
        rows.append(
            ("no server: the generator's ceiling", f"{ceiling:,.0f}", "100%", _over(ceiling, pgbench), "", "", "")
        )
        if pgbench is not None:
            rows.append((PGBENCH, f"{pgbench:,.0f}", "", "1.00 x", "", "", ""))
        columns = ("by", "tps", "of the generator's ceiling", "of pgbench", "p50", "p99", "said")
        yield Table(f"Load test: {script}, {CLIENTS} clients in a closed loop", columns, rows)


def _row(points: Sequence[Mapping[str, Any]], ceiling: float, pgbench: float | None) -> tuple[str, ...]:
    tps = median(each["tps"] for each in points)
    said = sum(each["bound"] for each in points)
    return (
        f"{tps:,.0f}",
        f"{tps / ceiling:.0%}",
        _over(tps, pgbench),
        *(_ms([each[name] for each in points]) for name in ("p50", "p99")),
        f"GENERATOR_BOUND in {said} of {len(points)}" if said else "",
    )


def _over(tps: float, pgbench: float | None) -> str:
    return "" if pgbench is None else f"{tps / pgbench:.2f} x"


def _ms(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.2f} ms" if known else "n too small"
