"""Parameters as JSON text, and back."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbpool.core.params import Unreadable, as_json, from_json
from tests.core.test_digests import VALUES, typed


@settings(max_examples=40, deadline=None)
@given(st.lists(VALUES, max_size=4))
def test_values_come_back_with_their_types(values: list[object]) -> None:
    text = as_json(values)
    assert text.isascii()
    assert "\0" not in text
    back = from_json(text)
    assert back == tuple(values)
    assert typed(back) == typed(tuple(values))


@pytest.mark.parametrize(
    "value",
    [
        (1, (2, [3])),
        {"$": "date", "value": 1},
        {1: "one", None: [b"x"]},
        {1, 2},
        "nul \0 and \ud800",
        float("inf"),
        datetime(2026, 1, 2, 3, tzinfo=UTC),
        [date(2026, 1, 1), time(1, 2, tzinfo=UTC), timedelta(-1, 5), Decimal("NaN"), UUID(int=7)],
    ],
)
def test_odd_values_come_back_too(value: object) -> None:
    assert repr(from_json(as_json([value]))) == repr((value,))


def test_plain_values_look_plain() -> None:
    assert as_json((1, "a", None, [True, 2.5])) == '[1, "a", null, [true, 2.5]]'


def test_what_cannot_be_kept_is_shown_and_said_to_be_unreadable() -> None:
    text = as_json((1, 2 + 3j))
    assert json.loads(text)[1]["value"] == "(2+3j)"
    with pytest.raises(Unreadable, match=r"type complex is kept only as it looks: \(2\+3j\)"):
        from_json(text)
