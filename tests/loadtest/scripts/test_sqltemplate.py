from __future__ import annotations

import pytest

from dbpool.loadtest.scripts.problems import EvaluationError
from dbpool.loadtest.scripts.sqltemplate import cut
from dbpool.loadtest.scripts.values import Held


@pytest.mark.parametrize(
    ("text", "sql", "names"),
    [
        ("select :a, :b", "select $1, $2", ("a", "b")),
        ("select :a + :a", "select $1 + $2", ("a", "a")),
        ("select x::int, :a::int", "select x::int, $1::int", ("a",)),
        ("select :::a", "select :::a", ()),
        ("select a[1:2], a[1::b], a[:b]", "select a[1:2], a[1::b], a[$1]", ("b",)),
        ("select 1:a", "select 1$1", ("a",)),
        ("select :a:b", "select $1$2", ("a", "b")),
        ("select :1, : a, :=", "select :1, : a, :=", ()),
        ("select :a$b", "select $1$b", ("a",)),
        ("select :é_1", "select $1", ("é_1",)),
        ("select '12:30', ':1', now()", "select '12:30', ':1', now()", ()),
    ],
)
def test_a_name_after_one_colon_becomes_a_parameter(text: str, sql: str, names: tuple[str, ...]) -> None:
    template = cut(text)
    assert (template.sql, template.names) == (sql, names)


@pytest.mark.parametrize(
    "text",
    [
        "select ':a'",
        "select E'\\':a'",
        "select $$:a$$",
        "select $x$ :a $x$",
        'select ":a"',
        "select 1 -- :a",
        "/* :a */ select 1",
    ],
)
def test_in_quotes_and_comments_a_name_stays_unless_there_is_such_a_variable(text: str) -> None:
    template = cut(text)
    assert template.sql == text
    assert template.parameters({}) == ()
    with pytest.raises(EvaluationError, match='"a" stands in quotes'):
        template.parameters({"a": 1})


def test_parameters_are_the_values_as_they_are() -> None:
    values: dict[str, Held] = {"i": 1, "d": 1.5, "b": True, "n": None, "t": "007"}
    assert cut("select :i, :d, :b, :n, :t, :i").parameters(values) == (1, 1.5, True, None, "007", 1)


def test_a_parameter_without_a_variable_is_an_error() -> None:
    with pytest.raises(EvaluationError, match='undefined variable "a"'):
        cut("select :a").parameters({"b": 1})


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (-5, "-5"), (0.1, "0.1"), (1 / 3, "0.333333333333333"), (2.0, "2"), (1e20, "1e+20"), (True, "true"),
     (False, "false"), (None, "NULL"), ("007", "007"), (float("inf"), "Infinity"), (float("nan"), "NaN")],
)  # fmt: skip
def test_the_simple_protocol_puts_texts_in_wherever_the_name_stands(value: Held, text: str) -> None:
    template = cut("select :a, ':a', 1::a, :b -- :a")
    assert template.with_values({"a": value}) == f"select {text}, '{text}', 1::a, :b -- {text}"
