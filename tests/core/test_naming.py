"""Names: as callers write them, as statements do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.identifier import quoted
from dbpool.core.naming import qualified, quoted_list, readings


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("orders", ['"orders"']),
        ("Orders", ['"orders"', '"Orders"']),
        ("shop.orders", ['"shop"."orders"', '"shop.orders"']),
        ("Shop.Orders", ['"shop"."orders"', '"Shop"."Orders"', '"Shop.Orders"']),
        (' shop . "Orders" ', ['"shop"."Orders"', '" shop . ""Orders"" "']),
        ('"a.b"', ['"a.b"', '"""a.b"""']),
        ('"a""b"."c"', ['"a""b"."c"', '"""a""""b"".""c"""']),
        ("Ünder", ['"Ünder"']),
        ('"open', ['"""open"']),
        ('a"b"', ['"a""b"""']),
        ('"a"b', ['"""a""b"']),
        ("a.", ['"a."']),
        (".a", ['".a"']),
        ("a..b", ['"a..b"']),
        ('""', ['""""""']),
    ],
)
def test_a_name_is_read_as_sql_reads_it_then_as_it_stands(written: str, meant: list[str]) -> None:
    assert readings(written) == meant


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=15)


@given(st.lists(NAMES, min_size=1, max_size=3))
def test_a_name_that_was_quoted_means_what_it_was(parts: list[str]) -> None:
    name = ".".join(map(quoted, parts))
    assert readings(name)[0] == name


def test_names_are_quoted_one_by_one() -> None:
    assert quoted_list(["a", 'b"']) == '"a", "b"""'
    assert quoted_list(["a", "b"], of="t") == 't."a", t."b"'
    assert qualified("a.b", "c") == '"a.b"."c"'
