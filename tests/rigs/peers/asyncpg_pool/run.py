"""The ledger's writes, and its faults, with asyncpg_pool as the pool."""

from __future__ import annotations

from tests.rigs.findings import Findings, Say
from tests.rigs.ledger.soaking import soaked


def run(seconds: float, seed: int, say: Say) -> Findings:
    return soaked(seconds, seed, say, "asyncpg_pool", "byasyncpg")
