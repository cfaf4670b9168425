"""The points of a run as comma-separated values, a line each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

from dbpool.loadtest.report.view.reading import Json, at

PLAIN: Final = (
    *("id", "stage", "why", "driver", "workers", "pool_size", "gate", "clients", "offered_rate", "arrival"),
    *("max_in_flight", "repeat", "started_s", "warmup_s", "window_s"),
)
DURATIONS: Final = ("response", "service", "gate_wait", "acquire", "release", "lag")
OF_EACH: Final = ("mean", "p50", "p95", "p99", "p99_9", "max")
COUNTS: Final = ("due", "ok", "late", "skipped", "dropped", "timeout")
HEAD: Final = (
    *PLAIN,
    *("tps", "tps_low", "tps_high"),
    *(f"{series}_{name}_ms" for series in DURATIONS for name in OF_EACH),
    *COUNTS,
    *("errors", "server_cpu", "generator_cpu", "generator_bound", "flags"),
)

Cell = str | float | int | None


def rows(document: Json) -> Iterator[list[Cell]]:
    """The names of the columns, then a row for each point: times in ms, None for what is not known."""
    yield list(HEAD)
    for point in document["points"]:
        low, high = at(point, "tps", "ci95") or (None, None)
        yield [
            *(point[name] for name in PLAIN),
            *(at(point, "tps", "mean"), low, high),
            *(at(point, f"{series}_ms", name) for series in DURATIONS for name in OF_EACH),
            *(point["counts"][name] for name in COUNTS),
            sum(point["counts"]["errors"].values()),
            at(point, "server", "cpu"),
            point["generator"]["cpu"],
            int(point["generator"]["bound"]),
            " ".join(point["flags"]),
        ]


def text(document: Json) -> str:
    """The same as text, as RFC 4180 has it but for its line ends; empty where a value is not known."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows(document))
    return written.getvalue()
