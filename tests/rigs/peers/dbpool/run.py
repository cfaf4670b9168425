"""The ledger's writes, and its faults, with dbpool as the pool."""

from __future__ import annotations

from tests.rigs.findings import Findings, Say
from tests.rigs.ledger.soaking import soaked


def run(seconds: float, seed: int, say: Say) -> Findings:
    return soaked(seconds, seed, say, "dbpool", "bydbpool")
