"""When requests are due: times fixed before the start, so that a slow server cannot slow the load down.

A generator that sleeps between requests, or waits for the last answer, sends least when the server is slowest, and so
leaves the worst times out of its figures ("coordinated omission": Gil Tene, How NOT to Measure Latency, 2013).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import count, islice
from math import log
from random import Random
from typing import Final

from dbpool.core.stages import Stage

BLOCK: Final = 1024  # due times drawn at once: 8 KiB, and a stop of less than 1 ms


class Arrival(Enum):
    """How requests follow each other."""

    POISSON = "poisson"  # as independent users come: what an open system sees
    CONSTANT = "constant"  # evenly spaced


def due_times(
    stages: Sequence[Stage], arrival: Arrival, random: Random, *, offset: float = 0.0, block: int = BLOCK
) -> Iterator[array[float]]:
    """Seconds from the start at which requests are due, ascending, in blocks of up to *block*.

    The levels of *stages* are requests a second; where one changes over time, arrivals are the inverse of the
    integrated rate (Cinlar, Introduction to Stochastic Processes, 1975, ch. 4: a Poisson process by change of time).

    Args:
        random: drawn from only for POISSON; the same seed gives the same times.
        offset: for CONSTANT, the first request's distance from the start, in 0 to 1 of the distance between two:
            worker i of n, which does ``shared(stages, n)``, passes i / n.
    """
    due = _on_the_clock(stages, _areas(arrival, random, offset))
    while times := array("d", islice(due, block)):
        yield times


def _areas(arrival: Arrival, random: Random, offset: float) -> Iterator[float]:
    """Arrivals of a process whose rate is always 1."""
    if arrival is Arrival.CONSTANT:
        yield from (number + offset for number in count())
    now = 0.0
    while True:
        now -= log(1.0 - random.random())  # 1 - U, as U may be 0
        yield now


def _on_the_clock(stages: Sequence[Stage], areas: Iterator[float]) -> Iterator[float]:
    area = next(areas)
    began_s = behind = 0.0
    for stage in stages:
        until = behind + stage.area
        while area < until:
            yield began_s + stage.time_at(area - behind)
            area = next(areas)
        behind = until
        began_s += stage.duration_s
