"""What ``import dbpool`` adds to the start of a program that imports asyncpg anyway."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from statistics import median

from bench.process import MeasurementFailed, progress

_PROGRAM = """
from time import perf_counter as now
start = now()
import asyncio, asyncpg
middle = now()
import dbpool
print(middle - start, now() - middle)
"""


def import_times(runs: int) -> dict[str, float]:
    """Medians of *runs* fresh processes, in milliseconds: of asyncpg alone, and of dbpool after it.

    Raises: MeasurementFailed.
    """
    progress(f"import time: {runs} fresh processes")
    # Compiled files of our own: there may be none, and an environment may forbid to write them.
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
        seen = [_import_once(environment) for _ in range(runs + 1)][1:]  # the first compiles
    return {"asyncpg": median(first for first, _ in seen), "dbpool": median(second for _, second in seen)}


def _import_once(environment: dict[str, str]) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode != 0:
        raise MeasurementFailed(f"import dbpool failed: {done.stderr.strip().splitlines()[-1]}")
    asyncpg_s, dbpool_s = map(float, done.stdout.split())
    return asyncpg_s * 1e3, dbpool_s * 1e3
