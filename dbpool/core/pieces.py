"""What to send next of a chunk whose transactions conflict with others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_CONFLICTS: Final = 12  # of a row, in whatever piece: with waits up to a second, half a minute at the least
_WHOLE: Final = 2  # so often it is tried as it is


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows *start* up to, but not including, *end*; *conflicts*: how often they were tried in vain."""

    start: int
    end: int
    conflicts: int = 0


class Pieces:
    """The pieces of a chunk that are still to be stored, in order.

    Always true between two calls: the pieces follow each other without gap or overlap, and end with the chunk's end.

    Args:
        rows: how many the chunk has, >= 1.
        may_halve: whether it means the same in two transactions.
    """

    def __init__(self, rows: int, *, may_halve: bool) -> None:
        self._left = [Piece(0, rows)]  # the next one last
        self._may_halve = may_halve

    @property
    def next(self) -> Piece | None:
        """The piece to send now; None: all are stored."""
        return self._left[-1] if self._left else None

    def stored(self) -> None:
        """The next piece is stored."""
        self._left.pop()

    def conflicted(self) -> int:
        """Nothing of the next piece is stored: it is tried again, in halves if that happened before.

        Returns: how often its rows were tried in vain, MOST_CONFLICTS if that is often enough.
        """
        piece = self._left.pop()
        conflicts = piece.conflicts + 1
        middle = (piece.start + piece.end) // 2
        if self._may_halve and conflicts >= _WHOLE and middle > piece.start:
            self._left += [Piece(middle, piece.end, conflicts), Piece(piece.start, middle, conflicts)]
        else:
            self._left.append(Piece(piece.start, piece.end, conflicts))
        return conflicts
