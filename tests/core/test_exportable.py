"""What an export's source is: a table's name, or one query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.exportable import Query, TableName, read_source
from dbpool.core.identifier import quoted
from dbpool.errors import StatementError


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("users", "", "users"),
        ("Users", "", "users"),
        ('"Users"', "", "Users"),
        ("shop.users", "shop", "users"),
        (' shop . "Or""ders" ', "shop", 'Or"ders'),
        ('"a.b"."c d"', "a.b", "c d"),
        ('odd"name', "", 'odd"name'),
        ('an"odd"name', "", 'an"odd"name'),
        ("dash-ed", "", "dash-ed"),
        ('"select"', "", "select"),
        ("update", "", "update"),
        ("größe", "", "größe"),
    ],
)
def test_a_name_is_read_as_in_sql_or_taken_as_it_stands(text: str, schema: str, name: str) -> None:
    assert read_source(text) == TableName(schema, name)


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("select 1", "select 1"),
        ("select 1 ; ;", "select 1"),
        ("select 1 -- the last word", "select 1"),
        ("select ';' /* ; */ ;-- x", "select ';'"),
        ("(select 1) union (values (2))", "(select 1) union (values (2))"),
        ("table users", "table users"),
        ("with a as (select 1) table a", "with a as (select 1) table a"),
        ("values(1)", "values(1)"),
        ("select", "select"),
    ],
)
def test_a_query_ends_where_its_last_token_does(text: str, sql: str) -> None:
    assert read_source(text) == Query(sql, 0, is_write=False)


def test_a_write_that_returns_rows_is_a_query() -> None:
    assert read_source("insert into t values ($2) returning a") == Query(
        "insert into t values ($2) returning a", 2, is_write=True
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "neither"),
        (" \n", "neither"),
        ("a\0b", "neither"),
        ("insert into t values (1)", "INSERT without RETURNING"),
        ("delete from t", "DELETE without RETURNING"),
        ("vacuum users", "'vacuum' begins neither a query"),
        ("my table", '"my table"'),
        ("select 1; select 2", "2 statements"),
        ("select 'open", "no end"),
        ("copy t to stdout", "neither a query"),
    ],
)
def test_what_gives_no_rows_is_refused_with_what_it_is(text: str, says: str) -> None:
    with pytest.raises(StatementError, match=says):
        read_source(text)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(StatementError, match="not int"):
        read_source(7)  # type: ignore[arg-type]


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=15)


@given(schema=NAMES, name=NAMES)
def test_any_name_in_quotes_comes_back(schema: str, name: str) -> None:
    table = TableName(schema, name)
    assert read_source(str(table)) == table
    assert read_source(quoted(name)) == TableName("", name)
