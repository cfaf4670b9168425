"""What the caller of a statement wants back."""

from __future__ import annotations

from enum import Enum


class Want(Enum):
    """What the caller of a statement wants back: the most rows (0: all), and whether its status."""

    ROWS = (0, False)
    ROW = (1, False)
    STATUS = (0, True)

    def __init__(self, limit: int, status: bool) -> None:  # noqa: FBT001 - an enum's members are made above
        self.limit = limit
        self.status = status
