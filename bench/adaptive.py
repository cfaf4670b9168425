"""``python -m bench.adaptive``: an adaptive limit beside fixed pool sizes, under a load that changes twice."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from bench import process
from bench.changing import ADAPTIVE, LABELS, MOST, prepare
from bench.database import bench_database
from bench.order import order_of_round
from bench.process import MeasurementFailed, progress
from bench.tables import Table, as_plain
from bench.targets import Judged, Target, judge
from dbpool.embedded import database_server

CALLS: Final = Target(at_least=0.95, unit=" x")
P99: Final = Target(at_most=1.0, unit=" x")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure, and how long: a round of one contender takes all its phases and 1 s."""

    sizes: Sequence[int] = (1, 2, 3, 4, 6, 8, 12, 16, MOST)
    loads: Sequence[str] = ("cpu", "wait", "rows")
    phase_s: float = 2.5
    rounds: int = 2
    tasks: int = 60


QUICK: Final = Plan(sizes=(2, 4, 8, MOST), rounds=1)
# As parts of `python -m bench`: under two minutes, and a quarter of one.
BESIDE_OTHERS: Final = Plan(sizes=(2, 4, 8, 12, 16, MOST), phase_s=2.0)
BESIDE_QUICK: Final = Plan(sizes=(4, 8, MOST), phase_s=1.0, rounds=1)


def measure_rounds(dsn: str, plan: Plan) -> dict[str, Any]:
    """Every contender in every round, each in a process of its own.

    Returns: ``plan``, and in ``runs`` what ``bench.changing.measure`` said, by contender.
    """
    contenders = [*map(str, plan.sizes), ADAPTIVE]
    request = {"dsn": dsn, "md5s": asyncio.run(prepare(dsn)), **asdict(plan)}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for number in range(plan.rounds):
        for name in order_of_round(contenders, number):
            progress(f"round {number + 1} of {plan.rounds}, {name}: {', '.join(plan.loads)}")
            runs[name].append(process.measure("changing", {**request, "contender": name}))
    return {"plan": asdict(plan), "runs": runs}


def tables(results: dict[str, Any]) -> list[Table]:
    loads, best = results["plan"]["loads"], _best_fixed(results)
    title = f"A load that changes twice, {results['plan']['tasks']} tasks"
    columns = ("connections", *(f"{load}/s" for load in loads), "all/s", "of best fixed", "p50", "p99", "service p99")
    rows = [
        (
            f"adaptive, at most {MOST}" if name == ADAPTIVE else name,
            *(f"{_of_phase(results, name, at, 'per_s'):,.0f}" for at in range(len(loads))),
            f"{_of_all(results, name, 'per_s'):,.0f}",
            f"{_of_all(results, name, 'per_s') / _of_all(results, best, 'per_s'):.2f} x",
            *(f"{_of_all(results, name, kind) * 1e3:.1f} ms" for kind in ("p50_s", "p99_s", "service_p99_s")),
        )
        for name in results["runs"]
    ]
    phases = [
        (
            f"{at + 1}: {LABELS[load]}",
            *(f"{_of_phase(results, name, at, 'p99_s') * 1e3:.1f} ms" for name in (best, ADAPTIVE)),
            f"{_of_phase(results, ADAPTIVE, at, 'limit'):.0f}",
        )
        for at, load in enumerate(loads)
    ]
    return [
        Table(title, columns, rows),
        Table("p99 in each phase", ("phase", f"{best} connections", "adaptive", "its usual limit"), phases),
    ]


def judged(results: dict[str, Any]) -> list[Judged]:
    best = _best_fixed(results)
    what = f"adaptive limit over the best fixed size, {best}"
    return [
        judge(f"{what}: {figure}", _of_all(results, ADAPTIVE, kind) / _of_all(results, best, kind), target)
        for figure, kind, target in (("calls", "per_s", CALLS), ("p99", "p99_s", P99))
    ]


def _best_fixed(results: dict[str, Any]) -> str:
    return max(results["runs"].keys() - {ADAPTIVE}, key=lambda name: _of_all(results, name, "per_s"))


def _of_all(results: dict[str, Any], name: str, kind: str) -> float:
    return median(run["all"][kind] for run in results["runs"][name])


def _of_phase(results: dict[str, Any], name: str, at: int, kind: str) -> float:
    return median(run["phases"][at][kind] for run in results["runs"][name])


def main() -> None:
    plan = _parse()
    try:
        with database_server(settings={"max_connections": "100"}) as server_dsn, bench_database(server_dsn) as dsn:
            results = measure_rounds(dsn, plan)
    except MeasurementFailed as error:
        sys.exit(str(error))
    print("\n".join(map(as_plain, tables(results))))
    for each in judged(results):
        print(f"{each.what}: {each.figure}, target {each.target}: {each.verdict}")


def _parse(words: Sequence[str] | None = None) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m bench.adaptive", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("--quick", action="store_true", help="four sizes, one round: under a minute")
    parser.add_argument("--loads", metavar="NAME,...", help=f"the phases, of {', '.join(LABELS)}")
    parser.add_argument("--sizes", metavar="N,...", help=f"the fixed sizes, of 1 to {MOST}")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, dest="phase_s", help="of each phase")
    parser.add_argument("--tasks", type=int)
    given = vars(parser.parse_args(words))
    usual = asdict(QUICK if given.pop("quick") else Plan())
    if given["loads"]:
        given["loads"] = given["loads"].split(",")
    if given["sizes"]:
        given["sizes"] = [int(size) for size in given["sizes"].split(",")]
    return Plan(**{name: usual[name] if value is None else value for name, value in given.items()})


if __name__ == "__main__":
    main()
