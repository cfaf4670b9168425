"""Which of many differences are shown, so that few of those are chance.

Of fifty comparisons at 95 % two or three differ by chance alone, and a check that fails now and then for no reason is
soon ignored. Benjamini and Hochberg: Controlling the False Discovery Rate (JRSS B 57, 1995): of what is shown, the
share that is chance is 5 % on average; where nothing differs at all, anything is shown in 5 % of the runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbpool.core.loadtest.intervals import CONFIDENCE


def discovered(p_values: Sequence[float], confidence: float = CONFIDENCE) -> list[bool]:
    """For each of *p_values* whether it is small enough among the others."""
    ranked = sorted(p_values)
    n = len(ranked)
    line = max((p for rank, p in enumerate(ranked, 1) if p <= rank / n * (1 - confidence)), default=-1.0)
    return [p <= line for p in p_values]
