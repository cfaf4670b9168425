"""The document of a load test that never ran: all that a default run with all its stages leaves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from dbpool.core.loadtest.budget import Fleet, Slots
from dbpool.core.loadtest.recommendation import Trust, recommend
from dbpool.core.loadtest.search import Outcome, Status
from tests.support.loadtestrun import CORES, KAPPA, LAMBDA, NORMAL, PEAK_TPS, SIGMA, Json, Simulated, durations, tps_of

SLOTS: Final = Slots(max_connections=100, superuser_reserved=3, reserved=2, others=6)
FLEET: Final = Fleet(instances=2, surge=2.0, reserve=5)
CLIENTS: Final = 64  # of the sweep with a queue
SWEEP: Final = [  # in the order of a search
    *[(size, "grow") for size in (1, 2, 4, 8)],
    (4, "reference"),
    *[(size, "grow") for size in (16, 32, 64)],
    *[(size, "fill") for size in (12, 14)],
    (4, "reference"),
    (20, "fill"),
    *[(size, "confirm") for size in (14, 16, 12, 14, 16)],
    (4, "reference"),
]
QUEUE: Final = (4, 8, 14, 24, 48)
SHARES: Final = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3, 1.5)
LIMIT_MS: Final = 25.0


def sample_document(*, seed: int = 1) -> Json:
    """A complete default run: 33 points, some 8 minutes; each time the same for one *seed*, and anew to be changed."""
    document: Json = json.loads(_sample(seed))
    return document


@cache
def _sample(seed: int) -> str:
    run = Simulated(seed)
    run.stage("probe", "the server's limits")
    for second in range(4):
        run.sample(None, 20 * second, run.now + second, idle=True)
    run.note("refused", "probe", "connection 92 was refused: all slots of the server are taken (max_connections)")
    run.now += 5
    run.stage("calibrate", "one client, one connection")
    run.closed("calibrate", 1, None, 1)
    run.stage("sweep", "as many clients as connections")
    for size, why in SWEEP:
        run.closed("sweep", size, why, size)
    run.stage("queue", f"{CLIENTS} clients on fewer connections")
    for size in QUEUE:
        run.closed("queue", size, None, CLIENTS)
    size = run.curve.knee().size
    run.stage("overload", f"more than {size} connections can do")
    overload = [run.open("overload", size, share) for share in SHARES]
    run.stage("recovery", "back to 70 %")
    recovery = run.open("recovery", size, 0.7)
    run.stage("storm", "many connections at once")
    for second in range(20):
        run.sample(None, (60, 14)[second % 5 > 1], run.now + second, idle=second % 5 < 2)
    run.note("killed", "storm", "14 of our own sessions were ended")
    run.now += 20
    run.note("ended", "storm", "all sessions are gone")
    return json.dumps({**_about(run, seed), **_found(run), **_pushed(overload, recovery, size), **_verdicts()})


def _about(run: Simulated, seed: int) -> Json:
    return {
        "schema": "dbpool.loadtest/1",
        "run": {
            "id": "8f2c41d9",
            "command": "run",
            "preset": "default",
            "status": "complete",
            "started": "2026-11-28T16:00:04.512000+00:00",
            "ended": "2026-11-28T16:08:09.100000+00:00",
            "argv": ["dbpool", "loadtest", "run", "URL", "--instances", "2", "--surge", "2", "--reserve", "5"],
            "seed": seed,
        },
        "tool": {"dbpool": "0.1.0", "python": "3.11.2", "asyncpg": "0.32.0", "platform": "Linux-6.1.0-x86_64"},
        "target": {
            "kind": "postgres",
            "version": "18.1",
            "local": True,
            "embedded": False,
            "cores": CORES,
            "settings": {"shared_buffers": "2GB", "max_connections": "100", "synchronous_commit": "on", "jit": "off"},
        },
        "limits": {
            "max_connections": SLOTS.max_connections,
            "superuser_reserved": SLOTS.superuser_reserved,
            "reserved": SLOTS.reserved,
            "role_limit": None,
            "database_limit": None,
            "is_superuser": False,
            "others": SLOTS.others,
            "others_of_role": 2,
            "others_of_database": 5,
            "usable": SLOTS.usable,
            "free": SLOTS.free,
            "cap": SLOTS.cap,
            "probe": {
                "reached": 89,
                "refusal_class": "reserved",
                "label": "53300.reserved",
                "sqlstate": "53300",
                "connect_ms_curve": [round(2.1 + 0.012 * n + run.random.expovariate(3), 3) for n in range(89)],
                "slot_reuse_ms": 3.2,
                "lifeline_ms": [round(run.random.uniform(0.2, 0.6), 3) for _ in range(89)],
                "is_clean": True,
                "backend_memory_mb": 2.3,
            },
            "pooler": None,
        },
        "workload": {
            "scripts": [{"name": "tpcb-like", "weight": 1, "sha256": "9a0364b9e99bb480dd25e1f0284c8555" * 2}],
            "mode": "prepared",
            "scale": 20,
        },
        "settings": {
            "driver": "dbpool",
            "workers": 1,
            "latency_limit_ms": None,
            "latency_factor": 3.0,
            "enough": 0.95,
            "instances": FLEET.instances,
            "surge": FLEET.surge,
            "reserve": FLEET.reserve,
            "tasks": 1,
            "connections_each": 1,
        },
        "calibration": {"noop_tps": 21_400.0, "r1_ms": 0.87, "x1_tps": 1148.2, "noise_cv": 0.011},
        "points": run.points,
        "timeline": run.timeline,
        "samples": run.samples,
        "statements": list(_statements()),
        "events": run.events,
    }


def _statements() -> Iterator[Json]:
    texts = {
        "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2": 0.09,
        "UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2": 0.71,
        "UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2": 0.22,
        "SELECT abalance FROM pgbench_accounts WHERE aid = $1": 0.02,
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, $5)": 0.03,
    }
    for stage, calls in (("sweep", 1_020_114), ("queue", 340_210), ("overload", 511_730)):
        for query, each_ms in texts.items():
            yield {"stage": stage, "query": query, "calls": calls, "total_ms": calls * each_ms}


def _found(run: Simulated) -> Json:
    """Knee, law, recommendation, budget."""
    curve, knee = run.curve, run.curve.knee()
    why = f"measured from 1 to 64, and again at {knee.size} and beside it"
    trust = Trust(repeats=3, off=0.021)
    made = recommend(Outcome(Status.BOUNDED, why, knee, 20, None, 30.0, len(SWEEP)), SLOTS, FLEET, trust=trust)
    at = next(point for point in reversed(run.points) if (point["stage"], point["pool_size"]) == ("sweep", knee.size))
    estimates = {size: curve.estimate(size) for size in curve.sizes()}
    share = FLEET.share_of(SLOTS)
    return {
        "usl": {
            "lambda": LAMBDA,
            "sigma": SIGMA,
            "kappa": KAPPA,
            "n_star": math.sqrt((1 - SIGMA) / KAPPA),
            "n_star_ci95": [19.4, 23.2],
            "ceiling": LAMBDA / SIGMA,
            "misfit": 0.018,
            "valid": True,
            "why": [],
            "curve": [[n, tps_of(n)] for n in (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64)],
        },
        "knee": {
            "status": "BOUNDED",
            "why": why,
            "size": knee.size,
            "low": knee.low,
            "high": knee.high,
            "tps": knee.tps,
            "peak_tps": knee.peak_tps,
            "at_least": 20,
            "rule": "the smallest size with 95 % of the most throughput",
            "latency_size": None,
            "latency_limit_ms": 30.0,
            "measured": len(SWEEP),
            "refused": False,
            "sizes": [
                {
                    "size": size,
                    "tps": each.tps,
                    "low": each.interval.low,
                    "high": each.interval.high,
                    "repeats": each.repeats,
                    "service_p99_ms": curve.service_p99_ms(size),
                }
                for size, each in estimates.items()
            ],
        },
        "recommendation": {
            "pool_size": made.pool_size,
            "per_instance": made.per_instance,
            "low": made.low,
            "high": made.high,
            "grade": made.grade.value,
            "binding": None if made.binding is None else made.binding.value,
            "reasons": list(made.reasons),
            "expected": {
                "size": knee.size,
                "tps": knee.tps,
                "tps_ci95": [knee.tps * 0.979, knee.tps * 1.021],
                "response_p99_ms": at["response_ms"]["p99"],
                "service_p99_ms": at["service_ms"]["p99"],
            },
            "rule_of_thumb": 2 * CORES + 1,
            "code": f"DatabasePool(\n    dsn,\n    max_connections={made.per_instance},\n    max_waiting=200,\n)",
        },
        "budget": {
            "usable": SLOTS.usable,
            "others": SLOTS.others,
            "reserve": FLEET.reserve,
            "free": SLOTS.free,
            "instances": FLEET.instances,
            "surge": FLEET.surge,
            "share": share,
            "rows": [
                {
                    "pool_size": size,
                    "connections": size * FLEET.instances,
                    "at_deploy": round(size * FLEET.instances * FLEET.surge),
                    "fits": size <= share,
                }
                for size in (4, 6, 7, 8, 12, 16, 20, 24, 32)
            ],
        },
    }


def _pushed(overload: list[Json], recovery: Json, size: int) -> Json:
    """What happened beyond the limits."""
    alone = durations(300, 1.1, 0.3)
    steps = [_step(point, share) for point, share in zip(overload, SHARES, strict=True)]
    kept = steps[-1]["goodput_tps"] / PEAK_TPS
    return {
        "overload": {
            "size": size,
            "peak_tps": PEAK_TPS,
            "limit_ms": LIMIT_MS,
            "steps": steps,
            "recovery": {"point": recovery["id"], "recovery_s": 1.0, "limit_ms": LIMIT_MS},
            "behaviour": f"at 150 % load goodput keeps {kept:.0%} of the peak; what waits too long is shed",
        },
        "storm": {
            "alone": alone,
            "parts": [
                _part("barrier", 60, 14.2, 1.9, {}, "60 connections at once were ready after 0.31 s"),
                _part("cold", size, 6.1, 1.4, {}, "a cold pool under full load was ready after 0.12 s"),
                _part("kill", size, 5.7, 2.3, {"57P01.ended": 14}, "all sessions ended: refilled after 0.9 s"),
                _part("beyond", 110, 18.0, 3.1, {"53300.server_full": 25}, "25 of 110 were refused, none was lost"),
            ],
        },
        "soak": {
            "point": None,
            "minutes": 10.0,
            "trends": [
                {"name": "tps", "unit": "/s", "per_hour": -12.0, "low": -61.0, "high": 37.0, "settled": True}
                | {"shown": False},
                {"name": "rss_mb", "unit": "MB", "per_hour": 0.4, "low": -0.2, "high": 1.0, "settled": True}
                | {"shown": False},
            ],
            "leaked_sessions": 0,
            "text": "10 minutes at 70 %: nothing grew",
        },
        "fleet": {
            "steps": [
                {"processes": 2, "per_process": 7, "connections": 14, "tps": 7590.0, "response_p99_ms": 5.2}
                | {"fairness": 0.998, "refusals": {}, "point": None},
                {"processes": 4, "per_process": 7, "connections": 28, "tps": 7910.0, "response_p99_ms": 11.9}
                | {"fairness": 0.991, "refusals": {}, "point": None},
            ]
        },
    }


def _step(point: Mapping[str, Any], share: float) -> Json:
    counts = point["counts"]
    return {
        "share": share,
        "offered_rate": point["offered_rate"],
        "point": point["id"],
        "goodput_tps": (counts["ok"] - counts["late"]) / point["window_s"],
        "late_rate": point["rates"]["late"],
        "skipped": counts["skipped"],
        "dropped": counts["dropped"],
        "timeouts": counts["timeout"],
        "errors": sum(counts["errors"].values()),
        "response_p99_ms": point["response_ms"]["p99"],
        "service_p99_ms": point["service_ms"]["p99"],
        "uncorrected_p99_ms": point["service_ms"]["p99"] * 1.04,
    }


def _part(name: str, many: int, median_ms: float, ratio: float, failures: dict[str, int], text: str) -> Json:
    shares = [(n + 1) / 40 for n in range(40)]
    cdf = [[round(median_ms * math.exp(0.5 * NORMAL.inv_cdf(min(p, 0.99))), 3), p] for p in shares]
    return {
        "name": name,
        "connections": many,
        "connect_ms": {"n": many, "p50": median_ms, "p95": median_ms * 2.3, "p99": None, "p99_9": None}
        | {"max": cdf[-1][0], "cdf": cdf},
        "ready_s": round(median_ms * many / 2700, 2),
        "failures": failures,
        "retries": 3 * sum(failures.values()),
        "bystander": durations(120, 1.1 * ratio, 0.4),
        "bystander_ratio": ratio,
        "bystander_by": "max",
        "recovery_s": 0.9 if name == "kill" else None,
        "point": None,
        "text": text,
    }


def _verdicts() -> Json:
    return {
        "thresholds": [
            {"expr": "response_ms:p(99)<50", "value": 5.4, "ok": True, "point": None},
            {"expr": "recovery_s<0.5", "value": 1.0, "ok": False, "point": None},
        ],
        "comparison": None,
        "warnings": [
            {
                "code": "others",
                "text": "6 sessions of others were connected: what they did is part of what was measured",
            },
            {"code": "generator_bound", "text": "at 64 connections the load generator, not the server, was the limit"},
        ],
        "exit_code": 3,
    }
