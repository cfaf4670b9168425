"""How a load goes, a line each second on stderr."""

from __future__ import annotations

import sys

from dbpool.loadtest.load import Load
from dbpool.loadtest.point import NS_PER_MS
from dbpool.loadtest.recording.tally import Outcome, Series, Tally, merged


class Progress:
    """Says every *every_s* seconds what was done in them; 0: nothing is said at all."""

    def __init__(self, every_s: int) -> None:
        self._every_s = every_s
        self._load = Load()
        self._unsaid: list[Tally] = []

    def say(self, sentence: str) -> None:
        if self._every_s:
            sys.stderr.write(f"{sentence}\n")
            sys.stderr.flush()

    def begin(self, driver: str, load: Load) -> None:
        """A point begins."""
        self._load, self._unsaid = load, []
        if load.is_open:
            expected = sum(stage.area for stage in load.stages)
            what = f"{expected / load.time_s:,.0f} arrivals/s ({load.arrival.value})"
        else:
            what = f"{load.clients:,} client{'' if load.clients == 1 else 's'}"
        self.say(f"{driver}: {what}, {load.warmup_s:g} s warm-up, {load.time_s:g} s")

    def tick(self, second: int, tally: Tally) -> None:
        """A second is over; one of the drain in which nothing ended is not worth a line."""
        if second >= self._load.warmup_s + self._load.time_s and not tally.completions and not tally.counts:
            return
        self._unsaid.append(tally)
        if self._every_s and len(self._unsaid) >= self._every_s:
            lately, self._unsaid = merged(self._unsaid), []
            self.say(self._line(second + 1, lately))

    def _line(self, seconds: int, lately: Tally) -> str:
        done = sum(lately.completions.values())
        words = [f"{seconds:4} s", f"{done / self._every_s:9,.0f} tps"]
        response = lately.of(Series.RESPONSE)
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            value = response.quantile(share)
            words.append(f"{name} {value / NS_PER_MS:8.2f} ms" if value is not None else f"{name}        -   ")
        if response.max is not None:
            words.append(f"max {response.max / NS_PER_MS:8.2f} ms")
        elif seconds <= self._load.warmup_s:
            words.append("warm-up")
        told = (Outcome.LATE, Outcome.SKIPPED, Outcome.DROPPED, Outcome.TIMEOUT, Outcome.ERROR)
        words += [f"{lately.counts[outcome]:,} {outcome.value}" for outcome in told if lately.counts[outcome]]
        return "  ".join(words)
