"""What is sent next when transactions conflict."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.pieces import MOST_CONFLICTS, Piece, Pieces


def test_it_is_tried_again_as_it_is_then_in_halves() -> None:
    pieces = Pieces(5, may_halve=True)
    assert pieces.next == Piece(0, 5)
    assert pieces.conflicted() == 1
    assert pieces.next == Piece(0, 5, 1)
    assert pieces.conflicted() == 2
    assert pieces.next == Piece(0, 2, 2)
    pieces.stored()
    assert pieces.next == Piece(2, 5, 2)
    assert pieces.conflicted() == 3
    assert pieces.next == Piece(2, 3, 3)


def test_what_must_stay_whole_does() -> None:
    pieces = Pieces(5, may_halve=False)
    for conflicts in range(1, 6):
        assert pieces.conflicted() == conflicts
        assert pieces.next == Piece(0, 5, conflicts)
    pieces.stored()
    assert pieces.next is None


@given(st.integers(1, 40), st.booleans(), st.lists(st.booleans(), max_size=200))
def test_every_row_is_stored_once_in_order_whatever_conflicts(
    rows: int, may_halve: bool, conflicts: list[bool]
) -> None:
    pieces = Pieces(rows, may_halve=may_halve)
    stored: list[int] = []
    outcomes = iter(conflicts)
    while (piece := pieces.next) is not None:
        assert piece.end > piece.start
        if next(outcomes, False):
            tried = pieces.conflicted()
            assert tried == piece.conflicts + 1
        else:
            stored += range(piece.start, piece.end)
            pieces.stored()
    assert stored == list(range(rows))


def test_conflicts_without_end_are_counted_up_to_the_most() -> None:
    pieces = Pieces(1000, may_halve=True)
    counts = [pieces.conflicted() for _ in range(MOST_CONFLICTS)]
    assert counts == list(range(1, MOST_CONFLICTS + 1))
