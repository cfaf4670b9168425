"""A server whose throughput at every size is known: a closed M/M/c queue with N clients, with what spoils measurements.

Each client waits *think_s* on average (network, its own work), then needs one of *cores* for *service_s*. The chances
of 0..N requests inside follow from the birth-death equations (Gross and Harris, Fundamentals of Queueing Theory, the
machine repair model), so throughput and response time are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from math import inf
from random import Random

from dbpool.core.loadtest.curve import Observation
from dbpool.core.loadtest.intervals import around
from dbpool.core.loadtest.search import Effort, Outcome, Search, Why


@cache
def throughput(clients: int, cores: int, service_s: float, think_s: float) -> float:
    if not think_s:
        return min(clients, cores) / service_s
    chances = [1.0]
    for inside in range(clients):
        come, go = (clients - inside) / think_s, min(inside + 1, cores) / service_s
        chances.append(chances[-1] * come / go)
    busy = sum(chance * min(inside, cores) for inside, chance in enumerate(chances)) / sum(chances)
    return busy / service_s


@dataclass
class Server:
    """``kappa``: the share that each pair of clients costs (retrograde); ``noise``: between repeats of one point."""

    cores: int = 10
    service_s: float = 0.002
    think_s: float = 0.0
    kappa: float = 0.0
    noise: float = 0.0
    seed: int = 1
    limit: float = inf  # connections
    generator_tps: float = inf
    drift: Callable[[int], float] = field(default=lambda _: 1.0)  # by how many measurements came before

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.asked: list[tuple[int, Why]] = []

    def true_tps(self, size: int) -> float:
        whole = throughput(size, self.cores, self.service_s, self.think_s)
        return whole / (1 + self.kappa * size * (size - 1))

    def true_knee(self, cap: int = 400) -> int:
        peak = max(map(self.true_tps, range(1, cap + 1)))
        return next(size for size in range(1, cap + 1) if self.true_tps(size) >= 0.95 * peak)

    def measure(self, size: int, why: Why) -> Observation:
        factor = self.drift(len(self.asked)) * self.random.lognormvariate(0, self.noise)
        self.asked.append((size, why))
        if size > self.limit:
            return Observation(size, 0.0, is_refused=True)
        tps = self.true_tps(size) * factor
        seen = min(tps, self.generator_tps)
        response_s = size / seen - self.think_s
        return Observation(
            size,
            seen,
            around(seen, 0.01 * seen),
            service_p99_ms=response_s * 1000 * 3,
            is_generator_bound=tps > 0.7 * self.generator_tps,
        )


def searched(server: Server, effort: Effort, seed: int = 1) -> Outcome:
    search = Search(effort, Random(seed))
    while search.probe is not None:
        search.observe(server.measure(search.probe.size, search.probe.why))
    return search.outcome
