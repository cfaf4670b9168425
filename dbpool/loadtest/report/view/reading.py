"""Points of a document, taken together by what was measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, TypeAlias

from dbpool.core import hdr
from dbpool.core.histogram import Histogram, is_enough, merged
from dbpool.loadtest.sameload import counted_in, is_bound, swept_in

Json: TypeAlias = Mapping[str, Any]

PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}
PERCENTILE_NAMES: Final = {"p50": "p50", "p95": "p95", "p99": "p99", "p99_9": "p99.9"}
NS_PER_MS: Final = 1e6


def at(document: Json | None, *path: str) -> Any:  # noqa: ANN401 - as JSON has it
    """What stands there; None where any of *path* is missing or unknown."""
    found: Any = document
    for name in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def points_of(document: Json, *stages: str) -> list[Json]:
    """The points of *stages*, or all."""
    return [point for point in document.get("points") or [] if not stages or point.get("stage") in stages]


def swept(document: Json) -> list[Json]:
    """The points of the sweep that stand for their size, as for the verdict.

    Those at the generator's limit do so where their size has no others.
    """
    counted = {point.get("pool_size") for point in counted_in(document)}
    return [each for each in swept_in(document) if not is_bound(each) or each.get("pool_size") not in counted]


@dataclass(frozen=True)
class Repeats:
    """All points of one kind, as the repeats of one size."""

    size: int
    points: Sequence[Json]

    @property
    def is_bound(self) -> bool:
        """Whether the generator, not the server, was at its limit in one of them."""
        return any(at(point, "generator", "bound") for point in self.points)

    @cached_property
    def tps(self) -> float | None:
        """The mean of the repeats."""
        known = [value for point in self.points if (value := at(point, "tps", "mean")) is not None]
        return sum(known) / len(known) if known else None

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """From the lowest end of the repeats' intervals to the highest."""
        known = [ends for point in self.points if (ends := at(point, "tps", "ci95")) is not None]
        return (min(low for low, _ in known), max(high for _, high in known)) if known else None

    def percentiles(self, series: str) -> dict[str, float | None]:
        """Of all repeats together, in ms: percentiles are never averaged."""
        found = [durations for point in self.points if (durations := point.get(series)) is not None]
        texts = tuple(durations.get("hdr") or "" for durations in found)
        if len(found) > 1 and (values := _percentiles_of(texts)) is not None:
            return dict(zip(PERCENTILES, values, strict=True))
        return {name: found[0].get(name) if found else None for name in PERCENTILES}

    def mean_ms(self, series: str) -> float | None:
        """Of all transactions of all repeats."""
        found = [durations for point in self.points if (durations := point.get(series)) is not None]
        n = sum(durations["n"] for durations in found)
        return sum(durations["mean"] * durations["n"] for durations in found) / n if n else None


def by_size(points: Iterable[Json]) -> list[Repeats]:
    """Points with a pool, by its size."""
    sizes: defaultdict[int, list[Json]] = defaultdict(list)
    for point in points:
        if point.get("pool_size") is not None:
            sizes[point["pool_size"]].append(point)
    return [Repeats(size, sizes[size]) for size in sorted(sizes)]


def histogram_of(points: Iterable[Json], series: str) -> Histogram | None:
    """All their durations together; None where a histogram is missing or cannot be read."""
    return _histogram_of([at(point, series, "hdr") or "" for point in points if point.get(series) is not None])


def _histogram_of(texts: Sequence[str]) -> Histogram | None:
    try:
        return merged(map(hdr.decode, texts)) if texts else None
    except ValueError:
        return None


@lru_cache(maxsize=256)  # every form of a report asks for the same, and a live page asks each second
def _percentiles_of(texts: tuple[str, ...]) -> Sequence[float | None] | None:
    together = _histogram_of(texts)
    return None if together is None else _in_ms(together.quantiles(PERCENTILES.values()))


def spectrum_of(histogram: Histogram, shares: Sequence[float]) -> list[float | None]:
    """The quantiles in ms at *shares*, as far as there are enough values for them."""
    known = [share for share in shares if is_enough(histogram.n, share)]
    found = _in_ms(histogram.quantiles(known))
    return [*found, *[None] * (len(shares) - len(known))]


def _in_ms(values: Iterable[int | None]) -> list[float | None]:
    return [None if value is None else value / NS_PER_MS for value in values]
