"""How every stage announces itself."""

from __future__ import annotations

from dbpool.loadtest.stages.stand import Stand


def begin(stand: Stand, stage: str, text: str, *, points: int | None = None, seconds: float | None = None) -> None:
    """Say that *stage* begins, what it will do, and how much of it; None: that is found on the way."""
    stand.events.tell("stage", stage=stage, text=text, points=points, seconds=seconds)
    stand.note("stage", stage, text)
