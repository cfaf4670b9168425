"""What pgbench's log of transactions says, second by second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from typing import Final, NamedTuple

from dbpool.loadtest.load import Load
from dbpool.loadtest.recording.tally import TENTHS, Outcome, Series, Tally
from dbpool.loadtest.recording.window import SECOND_NS, Window

US: Final = 1000  # ns
LABELS: Final = {"serialization": "40001", "deadlock": "40P01"}  # of what did not go well, else as pgbench calls it
SKIPPED: Final = "skipped"


class Line(NamedTuple):
    """One transaction; what did not go well has an outcome in words, and neither duration.

    Args:
        ended_us: of the system's clock.
        response_us: since it was due, or since it began in a closed load.
        lag_us: from due until it began, 0 in a closed load.
        retries: tries after the first.
    """

    ended_us: int
    response_us: int
    lag_us: int
    failure: str
    retries: int = 0


def line_of(text: str, load: Load) -> Line:
    """From ``client number time script seconds microseconds [lag] [retries]``."""
    words = text.split()
    ended_us = int(words[4]) * 1_000_000 + int(words[5])
    retries = 0 if load.max_tries == 1 else int(words[-1])
    if not words[2].isdigit():
        return Line(ended_us, 0, 0, words[2], retries)
    return Line(ended_us, int(words[2]), int(words[6]) if load.is_open else 0, "", retries)


def lines_of(texts: Iterable[str], load: Load) -> Iterator[Line]:
    """Those of one file, in order; a last one that was not finished is left out."""
    return (line_of(text, load) for text in texts if text.endswith("\n"))


@dataclass(slots=True)
class _Durations:
    response: list[int] = field(default_factory=list)
    service: list[int] = field(default_factory=list)
    lag: list[int] = field(default_factory=list)


def anchor_of(first_ns: int | None, *, reported_ns: int, rate: float | None) -> int:
    """When the load began, which pgbench does not say.

    Args:
        first_ns: when the first transaction began, or was due; None: there was none.
        reported_ns: when it began by its reports, which also count the time of connecting.
        rate: of an open load, whose first transaction is due so long after the begin on average.
    """
    if first_ns is None:
        return reported_ns
    return first_ns if rate is None else max(min(reported_ns, first_ns), first_ns - round(SECOND_NS / rate))


def seconds_of(
    files: Iterable[Iterator[Line]], load: Load, window: Window, *, clock_ns: int
) -> Iterator[tuple[int, Tally]]:
    """What each second since the anchor brought, in which something ended.

    Args:
        files: one for each thread, by when transactions ended.
        clock_ns: the monotonic clock is so far behind the system's.
    """
    number, tally, durations = 0, Tally(), _Durations()
    for line in merge(*files):
        ended_ns = line.ended_us * US - clock_ns
        if (second := (ended_ns - window.anchor_ns) // SECOND_NS) > number:
            yield number, _added(tally, durations, load)
            number, tally, durations = second, Tally(), _Durations()
        _count(line, ended_ns, tally, durations, window)
    yield number, _added(tally, durations, load)


def _count(line: Line, ended_ns: int, tally: Tally, durations: _Durations, window: Window) -> None:
    due_ns = ended_ns - line.response_us * US
    if not line.failure:
        tally.completions[(ended_ns - window.anchor_ns) * TENTHS // SECOND_NS] += 1
    if due_ns not in window:
        return
    if line.retries:
        tally.counts[Outcome.RETRIED] += 1
        tally.counts[Outcome.RETRIES] += line.retries
    if line.failure == SKIPPED:
        tally.counts[Outcome.SKIPPED] += 1
    elif line.failure:
        tally.counts[Outcome.ERROR] += 1
        tally.errors[LABELS.get(line.failure, line.failure)] += 1
    else:
        tally.counts[Outcome.OK] += 1
        durations.response.append(line.response_us * US)
        durations.service.append((line.response_us - line.lag_us) * US)
        durations.lag.append(line.lag_us * US)


def _added(tally: Tally, durations: _Durations, load: Load) -> Tally:
    """How long a client waits for its own connection, pgbench does not say: it is in no histogram, rather than 0."""
    if durations.response:
        tally.add(Series.RESPONSE, durations.response)
        tally.add(Series.SERVICE, durations.service)
        if load.is_open:
            tally.add(Series.LAG, durations.lag)
        if load.limit_ns is not None and (late := sum(took > load.limit_ns for took in durations.response)):
            tally.counts[Outcome.LATE] += late
    return tally
