"""A database server in virtual time: queries wait for something, then share the processors; callers stand in line."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf
from random import Random
from typing import Protocol


class Limiter(Protocol):
    """Is told of each holder that leaves, itself still counted, and says how many may hold from now on."""

    limit: int

    def left(self, held: int, waiting: int, now: float) -> int | None: ...


@dataclass
class Fixed:
    limit: int

    def left(self, held: int, waiting: int, now: float) -> int | None:
        return None


@dataclass(frozen=True, kw_only=True)
class Load:
    """Queries that wait *wait_s* (sleep, network, disk), then need *cpu_s* of processor time.

    Args:
        contention: each further one on the processors costs all of them that share of their speed.
        spread: 0: all alike; 1: both times are exponential.
        per_s: newcomers, at random; 0: a fixed number of callers, each of whom comes again when it has been served.
    """

    wait_s: float = 0.0
    cpu_s: float = 0.0
    contention: float = 0.0
    spread: float = 0.5
    per_s: float = 0.0


@dataclass
class Server:
    """Two processors, and a line before them."""

    limiter: Limiter
    load: Load
    callers: int = 60
    seed: int = 1
    now: float = 0.0
    responses_s: list[float] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    """The limit after each query."""

    def __post_init__(self) -> None:
        self._dice = Random(self.seed)
        self._number = count()
        self._held = 0
        self._line: deque[float] = deque()  # when they came
        self._waiting: list[tuple[float, int, float]] = []  # until when, number, when it came
        self._running: list[tuple[float, int, float]] = []  # until how much service, the same
        self._served_s = 0.0  # to each that has been running all the time
        self._next_arrival = self.now if self.load.per_s else inf
        if not self.load.per_s:
            self._line.extend([self.now] * self.callers)
            self._grant()

    @property
    def waiting(self) -> int:
        return len(self._line)

    def run(self, seconds: float) -> float:
        """Queries a second, for so long."""
        end, before = self.now + seconds, len(self.responses_s)
        while self.now < end:
            self._step(end)
        return (len(self.responses_s) - before) / seconds

    def run_all(self, loads: Iterable[Load], seconds: float) -> list[float]:
        """Queries a second under each load in turn."""
        rates = []
        for self.load in loads:
            rates.append(self.run(seconds))
        return rates

    def p99_s(self) -> float:
        return sorted(self.responses_s)[len(self.responses_s) * 99 // 100]

    def _step(self, end: float) -> None:
        speed = self._speed()
        completes = self.now + (self._running[0][0] - self._served_s) / speed if self._running else inf
        awakes = self._waiting[0][0] if self._waiting else inf
        at = min(completes, awakes, self._next_arrival, end)
        self._served_s += (at - self.now) * speed
        self.now = at
        if at == end:
            return
        if at == self._next_arrival:
            self._next_arrival += self._dice.expovariate(self.load.per_s)
            self._line.append(at)
            self._grant()
        elif at == awakes:
            _, number, came = heappop(self._waiting)
            heappush(self._running, (self._served_s + self._time(self.load.cpu_s), number, came))
        else:
            self._leave(heappop(self._running)[2])

    def _speed(self) -> float:
        """At which each running query advances."""
        running = len(self._running)
        return min(1.0, 2 / running) / (1 + self.load.contention * (running - 1)) if running else 0.0

    def _leave(self, came: float) -> None:
        self.responses_s.append(self.now - came)
        self.limiter.left(self._held, len(self._line), self.now)
        self.limits.append(self.limiter.limit)
        self._held -= 1
        if not self.load.per_s:
            self._line.append(self.now)
        self._grant()

    def _grant(self) -> None:
        while self._line and self._held < self.limiter.limit:
            self._held += 1
            heappush(self._waiting, (self.now + self._time(self.load.wait_s), next(self._number), self._line.popleft()))

    def _time(self, mean_s: float) -> float:
        spread = self.load.spread
        return mean_s * (1 - spread + spread * self._dice.expovariate(1.0)) if mean_s else 0.0
