"""``dbpool loadtest``: what its generator, its recorder and its report take, and pgbench beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench import closedloops, generating, process, recorder, reportwriting
from bench.loadtestruns import document, joined, loadtest
from bench.tables import Table
from bench.targets import Judged

_PARTS: Final = {"recorder": recorder, "generator": generating, "report": reportwriting, "closed": closedloops}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadtestPlan:
    """How long each part takes."""

    recorder_blocks: int
    open_rounds: int
    open_s: float
    crowd_s: float  # without a server; enough for a million transactions
    crowd_on_server_s: float
    closed_rounds: int
    closed_s: float


LOADTEST: Final = LoadtestPlan(
    recorder_blocks=60,
    open_rounds=3,
    open_s=5.0,
    crowd_s=25.0,
    crowd_on_server_s=4.0,
    closed_rounds=2,
    closed_s=1.5,
)
LOADTEST_QUICK: Final = LoadtestPlan(
    recorder_blocks=20,
    open_rounds=1,
    open_s=5.0,
    crowd_s=5.0,
    crowd_on_server_s=2.0,
    closed_rounds=1,
    closed_s=1.0,
)


def measure_all(dsn: str, plan: LoadtestPlan) -> dict[str, Any]:
    """What each part measured, by its name.

    Raises: MeasurementFailed.
    """
    loadtest(dsn, "init", "--scale", str(closedloops.SCALE))
    opened = generating.open_load(dsn, rounds=plan.open_rounds, seconds=plan.open_s)
    crowds = [
        generating.crowded(dsn, driver="noop", seconds=plan.crowd_s),
        generating.crowded(dsn, driver="dbpool", seconds=plan.crowd_on_server_s),
    ]
    closed, documents = closedloops.measure(dsn, rounds=plan.closed_rounds, seconds=plan.closed_s)
    loadtest(dsn, "clean")
    process.progress("a whole run, for its report")
    whole = document(None, "run", "--quick")  # it storms: not on a server that may be somebody's
    return {
        "recorder": process.measure("recorder", {"blocks": plan.recorder_blocks}),
        "generator": generating.figures(opened, crowds),
        "report": reportwriting.measure_once(joined(whole, [opened, *crowds, *documents])),
        "closed": closed,
    }


def tables(measured: Mapping[str, Any]) -> Iterator[Table]:
    for name, part in _PARTS.items():
        yield from part.tables(measured[name])


def judged(measured: Mapping[str, Any]) -> Iterator[Judged]:
    for name in ("recorder", "generator", "report"):
        yield from _PARTS[name].judged(measured[name])
