"""Whether an answer is whole, by what the server says at its end."""

from __future__ import annotations


def is_whole(rows: int, status: bytes | None, limit: int, *, has_columns: bool) -> bool:
    """Whether so many *rows* came as the server says that it sent.

    Only a SELECT's count is always that of its rows; other commands count what they have changed.

    Args:
        status: as ``SELECT 5``; None: nothing came at the end, as where the server stops at *limit* rows (0: none).
        has_columns: the statement returns rows; SELECT INTO does not.
    """
    if status is None:
        return rows == limit > 0
    if not status.startswith(b"SELECT "):
        return True
    counted = status[7:]
    return not has_columns or not counted.isdigit() or int(counted) == rows
