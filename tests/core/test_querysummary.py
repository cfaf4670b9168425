"""What an SQL text does, in a few words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.querysummary import LONGEST, Summary, summary_of, without_literals
from dbpool.core.sqltext import SqlTextError
from tests.support.statements import HARMLESS, HOSTILE

SUMMARIES = {
    "select 1": Summary("SELECT", "SELECT"),
    "SELECT * FROM wuser_table WHERE id = $1": Summary("SELECT wuser_table", "SELECT", "wuser_table"),
    'select * from shop."Orders" o': Summary('SELECT shop."Orders"', "SELECT", 'shop."Orders"'),
    "SELECT * FROM songs s, artists AS a": Summary("SELECT songs artists", "SELECT"),
    "select 1 from a join b using (x, y) left join only c on true, d where x in (1, 2)": Summary(
        "SELECT a b c d", "SELECT"
    ),
    "INSERT INTO shipping_details (order_id, address) SELECT order_id, address FROM order_details": Summary(
        "INSERT shipping_details SELECT order_details"
    ),
    "select * from (select * from wuser_table) x": Summary("SELECT SELECT wuser_table"),
    "insert into t (a, b) values ($1, $2), ($3, $4)": Summary("INSERT t", "INSERT", "t"),
    "insert into t values (1) on conflict (id) do update set a = 1": Summary("INSERT t", "INSERT", "t"),
    "update only t set a = 1, b = 2 where id = 3": Summary("UPDATE t", "UPDATE", "t"),
    "update t set a = u.a from u where true": Summary("UPDATE t u", "UPDATE"),
    "delete from t using u where t.id = u.id returning *": Summary("DELETE t u", "DELETE"),
    "select a from t order by b, c for no key update": Summary("SELECT t", "SELECT", "t"),
    "select extract(year from x), substring(a from 1), a is distinct from b from t": Summary("SELECT t", "SELECT", "t"),
    "select * from generate_series(1, 3) g": Summary("SELECT", "SELECT"),
    "with x as (select 1 from a), y (n) as not materialized (select 2 from x) select * from x, y, z": Summary(
        "SELECT a SELECT SELECT z"
    ),
    "with recursive n as (values (1) union all select 1 from n) select * from n": Summary("VALUES SELECT SELECT"),
    "merge into t using s on true when matched then update set a = 1 when not matched then insert values (1)": Summary(
        "MERGE t s", "MERGE"
    ),
    "table t": Summary("SELECT t", "SELECT", "t"),
    "values (1, 2)": Summary("VALUES", "VALUES"),
    "create table if not exists t (id int references u on delete cascade)": Summary(
        "CREATE TABLE t", "CREATE TABLE", "t"
    ),
    "create unique index concurrently i on t (a)": Summary("CREATE INDEX", "CREATE INDEX"),
    "drop table t": Summary("DROP TABLE t", "DROP TABLE", "t"),
    "truncate table t": Summary("TRUNCATE t", "TRUNCATE", "t"),
    "call shop.settle($1)": Summary("CALL shop.settle", "CALL", "", "shop.settle"),
    "COPY t (a, b) FROM STDIN": Summary("COPY t", "COPY", "t"),
    "COPY (select * from t) TO STDOUT": Summary("COPY SELECT t"),
    "explain select * from t": Summary("EXPLAIN SELECT t"),
    "set search_path = x": Summary("SET", "SET"),
    "grant select on t to u": Summary("GRANT", "GRANT"),
    "select 1 from a; delete from b": Summary("SELECT a DELETE b"),
    "-- why\nselect /* from x */ 1 from t": Summary("SELECT t", "SELECT", "t"),
    "(select 1 from a) union all (select 2 from b)": Summary("SELECT a SELECT b"),
    "?": Summary(),
}

WORDS = [
    *("select", "from", "(", ")", ",", ";", "t", "with", "as", "x"),
    *("values", "insert", "into", ".", "'", "1", "--", "update"),
]


@pytest.mark.parametrize("sql", SUMMARIES)
def test_a_summary_has_the_operations_and_their_tables(sql: str) -> None:
    assert summary_of(sql) == SUMMARIES[sql]


@pytest.mark.parametrize("sql", [*HARMLESS, *HOSTILE])
def test_no_statement_is_too_much(sql: str) -> None:
    try:
        summary = summary_of(sql)
    except SqlTextError:
        return
    assert len(summary.text) <= LONGEST
    assert "'" not in summary.text
    without_literals(sql)


def test_a_long_summary_is_cut_between_names() -> None:
    names = [f"table_number_{number}" for number in range(40)]
    text = summary_of(f"select * from {', '.join(names)}").text
    assert LONGEST - 20 < len(text) <= LONGEST
    assert text.split() == ["SELECT", *names[: len(text.split()) - 1]]


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("select 'it''s', 1.5e3, -7 from t", "select ?, ?, -? from t"),
        ("select  $$secret$$ /* secret */ -- secret\n, x", "select ?  , x".replace("  ", " ")),
        ("alter role app password E's3cr\\'et'", "alter role app password ?"),
        ('select "a""1", b2 from t1 where x = $1', 'select "a""1", b2 from t1 where x = $1'),
        ("select x'1F', b'01', n'a', u&'a', interval '1 day', true, null", "select ?, ?, ?, ?, interval ?, true, null"),
    ],
)
def test_constants_are_replaced(sql: str, shown: str) -> None:
    assert without_literals(sql) == shown


@given(
    st.lists(
        st.sampled_from(
            [
                "select",
                "from",
                "(",
                ")",
                ",",
                ";",
                "t",
                "with",
                "as",
                "x",
                "values",
                "insert",
                "into",
                ".",
                "'",
                "1",
                "--",
                "update",
            ]
        )
    )
)
def test_whatever_stands_in_whatever_order_is_read_to_its_end(words: list[str]) -> None:
    try:
        summary_of(" ".join(words))
    except SqlTextError:
        pass
