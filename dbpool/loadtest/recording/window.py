"""The part of a run that counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """When the load begins, when its warm-up is over, when it ends: monotonic ns, the same for all workers."""

    anchor_ns: int
    begins_ns: int
    ends_ns: int

    @classmethod
    def of(cls, anchor_ns: int, *, warmup_s: float, time_s: float) -> Window:
        begins_ns = anchor_ns + round(warmup_s * SECOND_NS)
        return cls(anchor_ns, begins_ns, begins_ns + round(time_s * SECOND_NS))

    @property
    def seconds(self) -> float:
        """How long it counts."""
        return (self.ends_ns - self.begins_ns) / SECOND_NS

    def __contains__(self, sched_ns: int) -> bool:
        """Whether a transaction counts that was due at *sched_ns*: when it ends does not matter."""
        return self.begins_ns <= sched_ns < self.ends_ns
