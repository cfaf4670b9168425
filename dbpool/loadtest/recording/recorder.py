"""Records what happened to each transaction, without slowing the next one down."""

from __future__ import annotations

from operator import sub
from typing import Final, NamedTuple, TypeAlias

from dbpool.loadtest.recording.tally import TENTHS, Outcome, Series, Tally
from dbpool.loadtest.recording.window import SECOND_NS, Window

Row: TypeAlias = tuple[int, int, int, int, int, int]
Stamps: TypeAlias = tuple[int, ...]

# Transactions that are put into their buckets at once. It takes about 1.5 us for each, during which nothing else runs:
# a whole second's at 10,000 a second would make 1 % of them 15 ms late, which is what a p99 shows.
BLOCK: Final = 256


class Splits(NamedTuple):
    """Which parts of a transaction's time are told apart; a part that is not is in no histogram, rather than 0."""

    gate: bool = False  # waiting for the right to a connection, before having it
    schedule: bool = False  # transactions are due at fixed times


class Recorder:
    """Takes stamps, in monotonic ns; ``take`` returns what they add up to.

    Args:
        limit_ns: responses that take longer are late.
    """

    __slots__ = ("_limit_ns", "_rows", "_splits", "_tally", "window")

    def __init__(self, window: Window, splits: Splits, *, limit_ns: int | None = None) -> None:
        self.window = window
        self._splits = splits
        self._limit_ns = limit_ns
        self._rows: list[Row] = []
        self._tally = Tally()

    def ok(self, row: Row) -> None:
        """A transaction went well: when it was due, started, gated, acquired, done, released."""
        self._rows.append(row)  # a third of what it takes to extend an array
        if len(self._rows) >= BLOCK:
            self._sort()

    def timed_out(self, sched: int, start: int, timeout_ns: int) -> None:
        """It was given up: its response counts as what it had until then, so that failing improves no percentile."""
        if sched not in self.window:
            return
        self._count(Outcome.TIMEOUT)
        response = start + timeout_ns - sched
        self._tally.add(Series.RESPONSE, [response])
        if self._limit_ns is not None and response > self._limit_ns:
            self._count(Outcome.LATE)

    def failed(self, sched: int, label: str) -> None:
        """It ended with an error that results call *label*."""
        if sched in self.window:
            self._count(Outcome.ERROR)
            self._tally.errors[label] += 1

    def retried(self, sched: int, tries: int) -> None:
        """It was tried so often before it ended."""
        if tries > 1 and sched in self.window:
            self._count(Outcome.RETRIED)
            self._tally.counts[Outcome.RETRIES] += tries - 1

    def left_out(self, sched: int, outcome: Outcome) -> None:
        """It was not begun: SKIPPED or DROPPED."""
        if sched in self.window:
            self._count(outcome)

    def take(self) -> Tally:
        """What was recorded since the last time."""
        self._sort()
        taken, self._tally = self._tally, Tally()
        return taken

    def _count(self, outcome: Outcome) -> None:
        self._tally.counts[outcome] += 1

    def _sort(self) -> None:
        rows, window = self._rows, self.window
        if not rows:
            return
        self._rows = []
        self._count_completions([row[4] for row in rows])
        due_ns = [row[0] for row in rows]
        if min(due_ns) < window.begins_ns or max(due_ns) >= window.ends_ns:
            rows = [row for row in rows if row[0] in window]
        if rows:
            self._sort_counted(*zip(*rows, strict=True))

    def _count_completions(self, ended_ns: list[int]) -> None:
        completions, anchor_ns, tenth_ns = self._tally.completions, self.window.anchor_ns, SECOND_NS // TENTHS
        first, last = (min(ended_ns) - anchor_ns) // tenth_ns, (max(ended_ns) - anchor_ns) // tenth_ns
        if first == last:
            completions[first] += len(ended_ns)
        else:
            completions.update([(at - anchor_ns) // tenth_ns for at in ended_ns])

    def _sort_counted(
        self,
        sched: Stamps,
        start: Stamps,
        gated: Stamps,
        acquired: Stamps,
        done: Stamps,
        released: Stamps,
    ) -> None:
        tally, splits = self._tally, self._splits
        tally.counts[Outcome.OK] += len(sched)
        response = list(map(sub, done, sched))
        tally.add(Series.RESPONSE, response)
        if self._limit_ns is not None and (late := sum([took > self._limit_ns for took in response])):
            tally.counts[Outcome.LATE] += late
        tally.add(Series.SERVICE, list(map(sub, done, acquired)))
        tally.add(Series.ACQUIRE, list(map(sub, acquired, gated)))
        tally.add(Series.RELEASE, list(map(sub, released, done)))
        if splits.schedule:
            tally.add(Series.LAG, list(map(sub, start, sched)))
        if splits.gate:
            tally.add(Series.GATE_WAIT, list(map(sub, gated, start)))
