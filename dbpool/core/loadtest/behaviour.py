"""What a server does when more is wanted than it can do, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """What came of a rate.

    Args:
        share: of the peak that was offered.
        due: arrivals.
        good: of those, done within the limit.
        goodput_tps: the same a second.
        is_bound: the generator, not the server, may be what was measured.
    """

    share: float
    due: int
    good: int
    goodput_tps: float
    is_bound: bool = False


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long it took back at *share* of the peak; None: not within *looked_s*."""

    share: float
    recovery_s: float | None
    looked_s: float


def behaviour(steps: Sequence[Step], recovery: Recovery | None, limit_ms: float) -> str:
    """The sentence; "" where nothing was measured."""
    told = [step for step in steps if step.due]
    if not told:
        return ""
    last, best = max(told, key=lambda step: step.share), max(told, key=lambda step: step.goodput_tps)
    if best.goodput_tps <= 0:
        sentence = f"no transaction was done within {_ms(limit_ms)}, at {told[0].share:.0%} of the peak or at any more"
    else:
        kept = last.goodput_tps / best.goodput_tps
        most = "the most it did" if last is best else f"{kept:.0%} of the most it did"
        missed = 1 - last.good / last.due
        sentence = (
            f"at {last.share:.0%} of its peak it gets {last.goodput_tps:,.0f} transactions a second done within "
            f"{_ms(limit_ms)}, {most}; {missed:.0%} of arrivals are late, skipped or lost"
        )
    if recovery is not None:
        sentence += f"; {_back(recovery)}"
    if bound := [f"{step.share:.0%}" for step in told if step.is_bound]:
        sentence += f" (the generator was the bottleneck at {', '.join(bound)}: the server may do better)"
    return sentence


def _ms(limit_ms: float) -> str:
    return f"{limit_ms:,.0f} ms" if limit_ms >= 10 else f"{limit_ms:.2g} ms"


def _back(recovery: Recovery) -> str:
    at = f"at {recovery.share:.0%}"
    if recovery.recovery_s is None:
        return f"{at} it was not back to normal in {recovery.looked_s:g} s"
    if not recovery.recovery_s:
        return f"{at} it is back to normal within a second"
    return f"{at} it is back to normal after {recovery.recovery_s:g} s"
