"""What the command line says."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.adaptive import BESIDE_OTHERS, BESIDE_QUICK, Plan
from bench.contenders import NAMES
from bench.loadtest import LOADTEST, LOADTEST_QUICK, LoadtestPlan
from bench.ratios import OURS
from bench.waiters import PLACES

FIGURES: Final = (
    *("lookups", "idle", "dropin", "core", "together", "allkeys", "mixed"),  # on each loop, as the next two lines
    *("distance", "streamed", "orm", "telemetry"),
    *("lanes", "fairness", "export", "jobs", "load"),
    *("recording", "adaptive", "writes", "waiters", "import", "loadtest"),
)
LOOPS: Final = ("asyncio", "uvloop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure, and how long."""

    contenders: list[str]
    figures: list[str]
    tasks: list[int]
    loops: list[str]
    rounds: int
    lookups: int  # of each contender in each round
    together_lookups: int  # the same for those that go together
    far_lookups: int  # and through a network
    streamed_items: int
    streamed_rounds: int
    idle_blocks: int
    lane_processes: int
    lane_rounds: int  # of each process
    lane_lookups: int  # of each block: enough for two reports or three
    fair_rounds: int
    fair_s: float  # of each way to wait in a round
    export_rounds: int
    job_rounds: int
    job_items: int  # that are written, by each way in each round
    job_again: int  # that are passed over
    load_rounds: int
    load_rows: int
    recording_blocks: int
    adaptive: Plan
    written_rows: int
    write_rounds: int
    waiters: int
    waiting_in: list[str]
    cancel_repeats: int
    import_runs: int
    loadtest: LoadtestPlan
    json: bool
    write: Path | None


def parse(words: Sequence[str] | None = None) -> Options:
    given = _parser().parse_args(words)
    quick: bool = given.quick
    return Options(
        contenders=[OURS, *(name for name in given.only if name != OURS)],
        figures=given.figures,
        tasks=given.tasks or ([1, 200] if quick else [1, 10, 200, 2000]),
        loops=list(LOOPS) if given.loop == "both" else [given.loop],
        rounds=given.rounds or (4 if quick else 10),
        lookups=given.lookups or (1000 if quick else 4000),
        together_lookups=10_000 if quick else 20_000,
        far_lookups=5000 if quick else 10_000,
        streamed_items=200_000 if quick else 2_000_000,
        streamed_rounds=1 if quick else 3,
        idle_blocks=20 if quick else 60,
        lane_processes=2 if quick else 5,
        lane_rounds=2 if quick else 4,
        lane_lookups=4000 if quick else 8000,
        fair_rounds=1 if quick else 3,
        fair_s=0.5 if quick else 1.0,
        export_rounds=3 if quick else 7,
        job_rounds=3 if quick else 7,
        job_items=50_000 if quick else 100_000,
        job_again=200_000 if quick else 1_000_000,
        load_rounds=3 if quick else 5,
        load_rows=100_000 if quick else 500_000,
        recording_blocks=20 if quick else 60,
        adaptive=BESIDE_QUICK if quick else BESIDE_OTHERS,
        written_rows=50_000 if quick else 200_000,
        write_rounds=1 if quick else 5,
        waiters=100_000,
        waiting_in=list(PLACES)[:2] if quick else list(PLACES),
        cancel_repeats=1 if quick else 3,
        import_runs=5 if quick else 21,
        loadtest=LOADTEST_QUICK if quick else LOADTEST,
        json=given.json,
        write=given.write,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="dbpool side by side with other pools.")
    parser.add_argument("--quick", action="store_true", help="a few minutes, and rougher")
    parser.add_argument("--rounds", type=_positive, help="of lookups by every contender and drop-in (10)")
    parser.add_argument("--lookups", type=_positive, help="of each contender in each round (4000)")
    parser.add_argument("--tasks", type=_counts, metavar="N,...", help="how many call at once (1,10,200,2000)")
    parser.add_argument("--loop", choices=[*LOOPS, "both"], default="both")
    parser.add_argument(
        "--only", type=_some_of(NAMES), default=list(NAMES), metavar="NAME,...", help=f"of {', '.join(NAMES)}"
    )
    parser.add_argument(
        "--figures", type=_some_of(FIGURES), default=list(FIGURES), metavar="NAME,...", help=f"of {', '.join(FIGURES)}"
    )
    parser.add_argument("--json", action="store_true", help="print every block as JSON instead of tables")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the results as Markdown")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _counts(text: str) -> list[int]:
    return [_positive(part) for part in text.split(",")]


class _some_of:  # noqa: N801 - used as a function
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def __call__(self, text: str) -> list[str]:
        asked = text.split(",")
        if unknown := [name for name in asked if name not in self._names]:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(self._names)}")
        return [name for name in self._names if name in asked]
