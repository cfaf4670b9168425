from __future__ import annotations

from decimal import Decimal

import pytest

from dbpool.loadtest.scripts.binding import make_bind
from dbpool.loadtest.scripts.problems import ScriptError
from dbpool.loadtest.scripts.values import Held


@pytest.mark.parametrize(
    ("type_name", "value", "bound"),
    [
        ("int4", 5, 5),
        ("int8", "007", 7),
        ("int2", 2.0, 2),
        ("float8", 5, 5.0),
        ("float4", 0.1, 0.1),
        ("float8", 1 / 3, 0.333333333333333),
        ("float8", "1e300", 1e300),
        ("numeric", 5, Decimal(5)),
        ("numeric", "0.10", Decimal("0.10")),
        ("numeric", 0.1, Decimal("0.1")),
        ("bool", True, True),
        ("bool", "f", False),
        ("bool", 1, True),
        ("bool", "OFF", False),
        ("bool", "y", True),
        ("text", 5, "5"),
        ("text", True, "true"),
        ("varchar", 1.50, "1.5"),
        ("timestamptz", "2026-01-01", "2026-01-01"),
        ("int4", None, None),
        ("text", None, None),
    ],
)
def test_a_value_becomes_what_the_type_takes(type_name: str, value: Held, bound: object) -> None:
    [found] = make_bind([type_name])([value])
    assert (found, type(found)) == (bound, type(bound))


@pytest.mark.parametrize(
    ("type_name", "value", "text"),
    [("int4", "x", "x"), ("int4", 1.5, "1.5"), ("int4", True, "true"), ("float8", False, "false"), ("numeric", "", ""),
     ("bool", 2, "2"), ("bool", "o", "o")],
)  # fmt: skip
def test_a_value_that_does_not_fit_its_type_is_named(type_name: str, value: Held, text: str) -> None:
    with pytest.raises(ScriptError) as caught:
        make_bind(["int4", type_name])([1, value])
    assert str(caught.value) == f'parameter $2 of type {type_name} cannot be "{text}"'
