from __future__ import annotations

import pytest

from dbpool.core.sqlnames import names_in, operators_in


def test_every_name_in_a_text_counts_and_nothing_in_a_constant() -> None:
    sql = """select "Odd ""F"(x), app.F2(1), 'no'::Kind, $$no$$ -- no
    from t /* no */"""
    assert names_in(sql) == {"select", 'Odd "F', "x", "app", "f2", "kind", "from", "t"}


def test_a_name_in_escapes_is_not_read() -> None:
    assert "" in names_in('select U&"\\0061bs"(1)')


@pytest.mark.parametrize(
    ("sql", "operators"),
    [
        ("a @@@ 1", {"@@@"}),
        ("a <=>-1", {"<=>-", "<=>", "-"}),
        ("- 1 + '##' /* %% */ ~(x)::int -- ^", {"-", "+", "~"}),
        ("count(*)", {"*"}),
        ("f(a.b, 1)", set()),
    ],
)
def test_operators_are_cut_in_every_way_that_the_server_could(sql: str, operators: set[str]) -> None:
    assert operators_in(sql) == operators
