"""How much to do before the event loop gets its turn."""

from __future__ import annotations

from typing import Final

TURN_S: Final = 0.003  # a third of what a loop may be kept, so that a garbage collection in between fits
_MOST: Final = 256  # quick items may be followed by slow ones


def next_step(step: int, took_s: float) -> int:
    """How many items to take in one go, after *step* >= 1 of them took *took_s* seconds."""
    if took_s > TURN_S:
        return max(1, int(step * TURN_S / took_s))
    return min(_MOST, step * 2) if took_s < TURN_S / 3 else step
