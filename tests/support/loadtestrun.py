"""A load test that never ran: stage by stage, on a server that is simulated well enough to look real."""

from __future__ import annotations

import math
from random import Random
from statistics import NormalDist
from typing import Any, Final

from dbpool.core.histogram import Histogram, bucket_of
from dbpool.core.loadtest.curve import Curve, Observation
from dbpool.core.loadtest.intervals import around
from dbpool.loadtest.pointjson import durations_json

Json = dict[str, Any]

LAMBDA, SIGMA, KAPPA = 1150.0, 0.055, 0.0021  # of the Universal Scalability Law: this server's peak is at 21
CORES: Final = 8
WARMUP_S, WINDOW_S = 3, 9
NORMAL: Final = NormalDist()


def tps_of(size: float) -> float:
    """What this server does with *size* connections."""
    return LAMBDA * size / (1 + SIGMA * (size - 1) + KAPPA * size * (size - 1))


PEAK_TPS: Final = max(tps_of(size) for size in range(1, 100))


def durations(n: float, median_ms: float, spread: float) -> Json | None:
    """*n* durations, log-normal: what a point has of a series."""
    left = count = round(n)
    counts: dict[int, int] = {}
    while left > 0:  # strata that become smaller towards the tail, as real ones do
        many = max(1, left // 60)
        share = 1 - (left - many / 2) / count
        value_ms = median_ms * math.exp(spread * NORMAL.inv_cdf(min(max(share, 1e-9), 1 - 1e-9)))
        bucket = bucket_of(max(1, round(value_ms * 1e6)))
        counts[bucket] = counts.get(bucket, 0) + many
        left -= many
    return durations_json(Histogram.of_counts(counts))


class Simulated:
    """The run, as it goes."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 2.0
        self.points: list[Json] = []
        self.timeline: list[Json] = []
        self.samples: list[Json] = []
        self.events: list[Json] = []
        self.curve = Curve()

    def stage(self, name: str, text: str) -> None:
        self.events.append({"t": round(self.now, 2), "kind": "stage", "stage": name, "text": text})

    def note(self, kind: str, stage: str, text: str) -> None:
        self.events.append({"t": round(self.now, 2), "kind": kind, "stage": stage, "text": text})

    def closed(self, stage: str, size: int, why: str | None, clients: int) -> Json:
        """A closed loop of *clients* on a pool of *size*."""
        tps = tps_of(min(size, clients)) * self.random.gauss(1, 0.008)
        service_ms = 1000 * min(size, clients) / tps
        repeat = sum(point["stage"] == stage and point["pool_size"] == size for point in self.points)
        point = self._point(stage, why, size, tps, tps, service_ms, 1000 * max(0, clients - size) / tps)
        point |= {"clients": clients, "repeat": repeat}
        if stage == "sweep":
            self.curve.add(Observation(size, tps, around(tps, tps * 0.012), service_p99_ms=point["service_ms"]["p99"]))
        return point

    def open(self, stage: str, size: int, share: float) -> Json:
        """An open loop that offers *share* of the peak."""
        offered = PEAK_TPS * share
        tps = min(offered, PEAK_TPS * 0.985) * self.random.gauss(1, 0.004)
        service_ms = 1000 * size / PEAK_TPS * (0.55 + 0.45 * min(1, share) ** 4)
        wait_ms = 0.02 + 0.5 * min(share, 0.96) ** 8 / (1.001 - min(share, 0.96)) + (12 if share > 1 else 0)
        point = self._point(stage, None, size, offered, tps, service_ms, wait_ms)
        over = max(0.0, offered - tps) * WINDOW_S if share > 1 else 0.0
        late = 0.0004 if share < 1 else min(0.6, 0.05 + (share - 1))
        point["counts"] |= {"late": round(tps * WINDOW_S * late), "skipped": round(over * 0.8)}
        point["counts"] |= {"dropped": round(over * 0.2), "timeout": round(over * 0.01)}
        point["rates"] |= {"late": late, "dropped": round(over * 0.2) / point["counts"]["due"]}
        point |= {"offered_rate": offered, "arrival": "poisson", "max_in_flight": 1000}
        return point

    def _point(
        self, stage: str, why: str | None, size: int, due: float, tps: float, service_ms: float, wait_ms: float
    ) -> Json:
        n, spread = tps * WINDOW_S, 0.35 + 0.01 * size
        middle = math.exp(spread * spread / 2)
        bound = size == 64 and stage == "sweep"
        point: Json = {
            "id": len(self.points),
            "stage": stage,
            "why": why,
            "started_s": round(self.now, 2),
            "most_workers": 1,
            "driver": "dbpool",
            "workers": 1,
            "pool_sharded": False,
            "pool_size": size,
            "gate": size,
            "clients": None,
            "offered_rate": None,
            "arrival": None,
            "max_in_flight": None,
            "repeat": 0,
            "window_s": float(WINDOW_S),
            "warmup_s": float(WARMUP_S),
            "tps": {"mean": tps, "ci95": [tps * 0.988, tps * 1.012], "n_batches": 18, "is_settled": True},
            "response_ms": durations(
                n, (service_ms + wait_ms) / middle, spread if wait_ms < service_ms else spread * 0.8
            ),
            "service_ms": durations(n, service_ms / middle, spread),
            "gate_wait_ms": durations(n, max(wait_ms, 0.004), 0.5),
            "acquire_ms": durations(n, 0.021, 0.4),
            "release_ms": durations(n, 0.034, 0.4),
            "lag_ms": durations(n, 0.3, 0.5) if stage in {"overload", "recovery"} else None,
            "counts": {"due": round(due * WINDOW_S), "ok": round(n), "late": None, "skipped": None, "dropped": None},
            "rates": {"error": 0.0, "late": None, "dropped": None, "timeout": 0.0},
            "server": None,
            "generator": {
                "cpu": 0.94 if bound else min(0.85, tps / 11_000),
                "starved": 0.01,
                "in_flight": size * 0.98,
                "rss_mb": 61.5,
                "loop_lag_p99_ms": 2.9 if bound else 0.6,
                "loop_lag_max_ms": 7.5,
                "ceiling_tps": 21_400.0,
                "bound": bound,
                "reasons": ["a worker's processor was 94 % busy"] if bound else [],
            },
            "flags": ["generator_bound"] if bound else [],
        }
        point["counts"] |= {"timeout": 0, "errors": {}}
        point["response_ci95_ms"] = {
            name: None if point["response_ms"][name] is None else [point["response_ms"][name] * f for f in (0.96, 1.05)]
            for name in ("p50", "p95", "p99", "p99_9", "p99_99")
        }
        self._seconds(point, tps)
        self.points.append(point)
        return point

    def _seconds(self, point: Json, tps: float) -> None:
        """The timeline of a point, and what the sampler saw meanwhile."""
        response = point["response_ms"]
        for second in range(WARMUP_S + WINDOW_S):
            warm = 0.7 if second == 0 else 1.0
            noise = self.random.gauss(1, 0.02) * warm
            self.timeline.append(
                {
                    "point": point["id"],
                    "t": second,
                    "completed": round(tps * noise),
                    "response_p50_ms": response["p50"] * self.random.gauss(1, 0.03),
                    "response_p99_ms": response["p99"] * self.random.gauss(1.02, 0.06),
                    "response_max_ms": response["p99"] * self.random.uniform(1.5, 3.2),
                    "errors": 0,
                    "timeouts": 0,
                    "dropped": 0,
                    "skipped": 0,
                    "late": 0,
                }
            )
            self.sample(point["id"], point["pool_size"], self.now + second)
        self.now += WARMUP_S + WINDOW_S + 0.7

    def sample(self, point: int | None, size: int, at: float, *, idle: bool = False) -> None:
        active = 0 if idle else min(size, max(1, round(size * self.random.gauss(0.86, 0.05))))
        cpu = min(active, CORES)
        lock = max(0, active - CORES) // 2
        waits = {"CPU": cpu, "Lock": lock, "LWLock": max(0, active - cpu - lock), "Client": size - active and 1}
        self.samples.append(
            {
                "t": round(at, 2),
                "point": point,
                "ours": {"active": active, "idle": size - active, "idle in transaction": min(2, size - active)},
                "others": {"active": 1, "idle": 5},
                "waits": {name: n for name, n in waits.items() if n},
                "wait_events": {"Lock:transactionid": lock, "LWLock:WALWrite": max(0, active - cpu - lock)},
                "cpu": cpu * 0.93,
                "commits": None if idle else round(tps_of(size)),
                "took_ms": round(self.random.uniform(2, 5), 2),
                "pools": None,
            }
        )
