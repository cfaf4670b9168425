"""What the generator of a load test does by itself: how late it is at 10,000 arrivals a second, how large it gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final

from bench.loadtestruns import Document, document
from bench.process import progress
from bench.tables import Table
from bench.targets import Judged, Target, judge

RATE: Final = 10_000
IN_FLIGHT: Final = 1000
LAG: Final = Target(at_most=2.0, unit=" ms")
MEMORY: Final = Target(at_most=100.0, unit=" MB")


def open_load(dsn: str, *, rounds: int, seconds: float) -> Document:
    """Arrivals at RATE that no server slows down, in a worker process of their own."""
    progress(f"{RATE:,} arrivals a second")
    words = ("--rate", str(RATE), "--driver", "noop", "--repeat", str(rounds), "--time", f"{seconds:g}")
    return document(dsn, "bench", *words, "--warmup", "1")


def crowded(dsn: str, *, driver: str, seconds: float) -> Document:
    """As many clients as IN_FLIGHT, all of which have a transaction under way at any time, in one worker process."""
    progress(f"{driver}: {IN_FLIGHT:,} transactions in flight")
    words = ("--clients", str(IN_FLIGHT), "--pool-size", "10", "--driver", driver, "--time", f"{seconds:g}")
    return document(dsn, "bench", *words, "--warmup", "1", "--builtin", "select-only")


def figures(opened: Document, crowds: Sequence[Document]) -> dict[str, Any]:
    """Of each point: what is shown."""
    return {
        "open": [
            {
                **{name: point["lag_ms"][name] for name in ("p50", "p99", "p99_9", "max")},
                "tps": point["tps"]["mean"],
                "cpu": point["generator"]["cpu"],
                "starved": point["generator"]["starved"],
                "bound": point["generator"]["bound"],
            }
            for point in opened["points"]
        ],
        "memory": [
            {
                "driver": point["driver"],
                "ok": point["counts"]["ok"],
                **{name: point["generator"][name] for name in ("in_flight", "rss_mb")},
            }
            for crowd in crowds
            for point in crowd["points"]
        ],
    }


def tables(measured: Mapping[str, Any]) -> Iterator[Table]:
    lags = [
        (
            f"round {number}",
            f"{each['tps']:,.0f}",
            *(_ms(each[name]) for name in ("p50", "p99", "p99_9", "max")),
            *(_share(each[name]) for name in ("cpu", "starved")),
            "GENERATOR_BOUND" if each["bound"] else "",
        )
        for number, each in enumerate(measured["open"], 1)
    ]
    columns = ("", "done/s", "lag p50", "p99", "p99.9", "longest", "of a processor", "kept from one", "said")
    yield Table(f"Load test: {RATE:,} arrivals a second, without a server", columns, lags)
    crowds = [
        (each["driver"], f"{each['ok']:,}", f"{each['in_flight']:,.0f}", f"{each['rss_mb']:.0f} MB")
        for each in measured["memory"]
    ]
    yield Table("Load test: the most memory of a worker", ("driver", "transactions", "in flight", "memory"), crowds)


def judged(measured: Mapping[str, Any]) -> Iterator[Judged]:
    yield _judged_lag(measured["open"])
    for each in measured["memory"]:
        what = f"load test: memory of a worker, {each['ok']:,} transactions, {IN_FLIGHT:,} in flight, {each['driver']}"
        yield judge(what, each["rss_mb"], MEMORY)


def _judged_lag(rounds: Sequence[Mapping[str, Any]]) -> Judged:
    """A generator that is late meets its target by saying so."""
    lag = judge(f"load test: lag p99 at {RATE:,} arrivals a second", median(each["p99"] for each in rounds), LAG)
    late = [each for each in rounds if each["p99"] > (LAG.at_most or 0)]
    if not late or not all(each["bound"] for each in late):
        return lag
    return Judged(lag.what, f"{lag.figure}; GENERATOR_BOUND said", lag.target, "met")


def _ms(value: float | None) -> str:
    return "n too small" if value is None else f"{value:.2f} ms"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
