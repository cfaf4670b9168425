"""Runs that differ from each other by what a test wants."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tests.support.loadtestdocument import sample_document

Json = dict[str, Any]
DOCUMENT = json.dumps(sample_document())
EMPTY = json.dumps(json.loads(DOCUMENT) | {"points": [], "timeline": [], "samples": [], "events": []})
POINT = json.dumps(next(point for point in json.loads(DOCUMENT)["points"] if point["stage"] == "sweep"))


def run_of(
    *, tps: float = 1.0, ms: float = 1.0, repeats: int = 3, seed: int = 0, noise: float = 0.004, sizes: int = 2
) -> Json:
    """A run of *sizes* loads, each *repeats* times, with throughput and durations so many times the usual."""
    random = Random(seed)
    document: Json = json.loads(EMPTY)
    for size in range(1, sizes + 1):
        for repeat in range(repeats):
            point = json.loads(POINT) | {"id": len(document["points"]), "repeat": repeat}
            point |= {"pool_size": size, "gate": None, "clients": size}
            mean = 1000 * size * tps * random.gauss(1, noise)
            point["tps"] = {"mean": mean, "ci95": [mean * 0.99, mean * 1.01], "n_batches": 20, "is_settled": True}
            for name in ("response_ms", "service_ms"):
                times = ms * random.gauss(1, noise)
                point[name] |= {each: point[name][each] * times for each in ("p50", "p95", "p99")}
            document["points"].append(point)
    return document
