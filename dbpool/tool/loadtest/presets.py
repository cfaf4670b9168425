"""How long the stages of a run take: ``--quick``, the default, ``--thorough``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from dbpool.core.loadtest.search import Effort


class Preset(StrEnum):
    """How much time there is."""

    QUICK = "quick"
    DEFAULT = "default"
    THOROUGH = "thorough"


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of a preset.

    Args:
        expected: points that a sweep usually takes.
        shares: of the peak's throughput, that an overload offers.
        step_s: each of them.
        storm_s: each part of a storm.
        queues: sizes that are measured with more clients than connections.
    """

    time_s: float
    warmup_s: float
    effort: Effort
    expected: int
    shares: tuple[float, ...]
    step_s: float
    storm_s: float
    queues: int


_LEVELS: Final = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3, 1.5)
_SEARCH: Final = Effort(cap=64)
PACES: Final = {
    # about two minutes: repeats are few, so that the grade is B at best
    Preset.QUICK: Pace(
        time_s=2.5,
        warmup_s=0.5,
        effort=replace(_SEARCH, fill=1, rounds=1, reference_every=6, resolution=0.25, most=24),
        expected=14,
        shares=(0.5, 0.8, 1.0, 1.3, 1.5),
        step_s=3.0,
        storm_s=3.0,
        queues=0,
    ),
    Preset.DEFAULT: Pace(
        time_s=8.0,
        warmup_s=2.0,
        effort=_SEARCH,
        expected=24,
        shares=_LEVELS,
        step_s=8.0,
        storm_s=6.0,
        queues=4,
    ),
    Preset.THOROUGH: Pace(
        time_s=20.0,
        warmup_s=10.0,
        effort=replace(_SEARCH, rounds=5, repeats=3),
        expected=32,
        shares=_LEVELS,
        step_s=20.0,
        storm_s=15.0,
        queues=5,
    ),
}
BETWEEN_S: Final = 0.8  # from one point to the next: processes start, connect and end
