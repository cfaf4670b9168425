"""An answer is whole if the server counts as many rows as came."""

from __future__ import annotations

import pytest

from dbpool.core.wholeness import is_whole


@pytest.mark.parametrize(
    ("rows", "status", "limit", "has_columns", "expected"),
    [
        (3, b"SELECT 3", 0, True, True),
        (2, b"SELECT 3", 0, True, False),  # one was lost
        (4, b"SELECT 3", 0, True, False),  # one came twice
        (0, b"SELECT 3", 0, True, False),
        (0, b"SELECT 3", 0, False, True),  # SELECT INTO
        (0, b"SELECT 0", 1, True, True),
        (1, None, 1, True, True),  # the server stopped at the limit
        (0, None, 1, True, False),
        (0, None, 0, True, False),  # the end of another answer
        (5, b"INSERT 0 5", 0, True, True),
        (0, b"INSERT 0 5", 0, False, True),
        (1, b"UPDATE 7", 1, True, True),
        (2, b"SHOW", 0, True, True),
        (2, b"SELECT", 0, True, True),  # of servers that do not count
        (2, b"SELECT some", 0, True, True),
    ],
)
def test_an_answer_is_whole(rows: int, status: bytes | None, limit: int, has_columns: bool, expected: bool) -> None:
    assert is_whole(rows, status, limit, has_columns=has_columns) is expected
