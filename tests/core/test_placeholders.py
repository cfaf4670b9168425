"""Constants in the places of parameters."""

from __future__ import annotations

import pytest

from dbpool.core.placeholders import constant, with_constants


@pytest.mark.parametrize(
    ("sql", "filled"),
    [
        ("select $1", "select A"),
        ("select $2, $1, $1", "select B, A, A"),
        ("select '$1', \"$1\", $$ $1 $$, $1 -- $1", "select '$1', \"$1\", $$ $1 $$, A -- $1"),
        ("select 1", "select 1"),
    ],
)
def test_only_parameters_are_replaced(sql: str, filled: str) -> None:
    assert with_constants(sql, ["A", "B"]) == filled


def test_a_constant_means_its_text_whatever_it_holds() -> None:
    assert constant("it's a \\", "text") == "(E'it''s a \\\\'::text)"
    assert constant(None, "integer") == "(NULL::integer)"
