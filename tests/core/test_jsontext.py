"""JSON values as text for types."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.jsontext import Kind, parsed, text_for

PLAIN_VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(PLAIN_VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=9)


@given(VALUES.filter(lambda value: value is not None))
def test_json_stays_the_same_json(value: object) -> None:
    text = text_for(parsed(json.dumps(value)), Kind.JSON)
    assert text is not None
    assert repr(json.loads(text)) == repr(value)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("number", ["0.10", "1e400", "-0", "123456789012345678901234567890.5"])
def test_numbers_keep_their_digits(kind: Kind, number: str) -> None:
    assert text_for(parsed(number), kind) == number
    assert text_for(parsed(f'{{"a": [{number}]}}'), kind) == f'{{"a": [{number}]}}'


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.PLAIN, '[1, [2.0, "a\\"", null], {}]'),
        (Kind.JSON, '[1, [2.0, "a\\"", null], {}]'),
        (Kind.ARRAY, r'{"1",{"2.0","a\"",NULL},"{}"}'),
        (Kind.JSON_ARRAY, r'{"1","[2.0, \"a\\\"\", null]","{}"}'),
    ],
)
def test_a_list_is_json_or_an_array(kind: Kind, text: str) -> None:
    assert text_for(parsed('[1, [2.0, "a\\"", null], {}]'), kind) == text


def test_what_is_nested_deeper_than_any_array_is_left_to_the_server() -> None:
    assert text_for(parsed("[" * 8 + "]" * 8), Kind.ARRAY) == '{{{{{{"[[]]"}}}}}}'
