"""What a rig has done, and what it has found: the one thing that all of them hand on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self, TypeAlias

Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never be, and was."""

    goal: str
    """The goal that it breaks, as docs/reliability.md numbers them: ``M1`` to ``M13``."""
    text: str
    """One sentence."""
    replay: str
    """The command that makes it happen again, or comes nearest to it."""


@dataclass(slots=True)
class Findings:
    """Of one run of one rig; ``merge`` puts several together."""

    rig: str
    done: Counter[str] = field(default_factory=Counter)
    """What was tried, in words: ``schedules``, ``cancellations``, ``rows acknowledged``."""
    faults: Counter[int] = field(default_factory=Counter)
    """How often each fault happened, by its number in docs/faults.md."""
    violations: list[Violation] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    """Measured, by name with the unit: ``recovery_p99_ms``."""
    took_s: float = 0.0

    def merge(self, others: Iterable[Findings]) -> None:
        """Add what others of the same rig found; of a figure that several have, the last one's stays."""
        for other in others:
            self.done.update(other.done)
            self.faults.update(other.faults)
            self.violations += other.violations
            self.figures |= other.figures
            self.took_s = max(self.took_s, other.took_s)

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        violations = [asdict(each) for each in self.violations]
        plain = {"done": dict(self.done), "faults": dict(self.faults), "violations": violations}
        return {"rig": self.rig, **plain, "figures": self.figures, "took_s": self.took_s}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """What ``as_plain`` gave, though JSON made text of the faults' numbers."""
        return cls(
            rig=plain["rig"],
            done=Counter(plain["done"]),
            faults=Counter({int(row): times for row, times in plain["faults"].items()}),
            violations=[Violation(**each) for each in plain["violations"]],
            figures=plain["figures"],
            took_s=plain["took_s"],
        )


class Rig(Protocol):
    """What the module ``tests.rigs.NAME.run`` offers."""

    def run(self, seconds: float, seed: int, say: Say) -> Findings:
        """Go on for about *seconds*, the same way for the same *seed* as far as time allows; *say* takes progress."""
        ...
