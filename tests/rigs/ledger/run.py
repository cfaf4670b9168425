"""Writes without end under every fault at once; a ledger and another driver say whether each was told the truth."""

from __future__ import annotations

from tests.rigs.findings import Findings, Say
from tests.rigs.ledger.soaking import soaked


def run(seconds: float, seed: int, say: Say) -> Findings:
    """See the module. Ctrl-C ends it early; what was written by then is compared all the same."""
    return soaked(seconds, seed, say, "ledger", "bydbpool")
