from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbpool.core.batches import ORDINAL, Form, could_be_items, from_text, lateral, many, read, with_parameters
from dbpool.core.identifier import quoted
from dbpool.errors import StatementError

ALL = (Form.LATERAL, Form.MANY, Form.SINGLE)
PAIR = (Form.MANY, Form.SINGLE)
ALONE = (Form.SINGLE,)


@pytest.mark.parametrize(
    ("sql", "forms", "why"),
    [
        ("select * from t where id = $1", ALL, ""),
        ("select * from t where id = $1;", ALL, ""),
        ("  select * from t where id = $1 ; ; -- the end", ALL, ""),
        ("with a as (select $1::int as n) select n from a", ALL, ""),
        ("values ($1::int)", ALL, ""),
        ("(select $1::int as n) union (select 2)", ALL, ""),
        ("select to_jsonb(a) from (select $1::int) a", PAIR, "may have its name from a parameter"),
        ("select _dbp_p.n from t _dbp_p where id = $1", ALONE, "it has a name with _dbp_"),
        ('select "_DBP_a1" from t where id = $1', ALONE, "it has a name with _dbp_"),
        ("select set_config('a.b', $1, true)", ALONE, "what set_config() does lasts"),
        ("select pg_catalog.pg_notify('a', $1)", ALONE, "what pg_notify() does lasts"),
        ("select set_config from t where id = $1", ALL, ""),
        ("select 'insert into t; $2', $1::int", ALL, ""),
        ("select 1", PAIR, "it has no parameters"),
        ("table t", PAIR, "it has no parameters"),
        ("insert into t values ($1)", PAIR, "it writes"),
        ("update t set a = $1 returning a", PAIR, "it writes"),
        ("merge into t using s on t.id = s.id when matched then delete", PAIR, "it writes"),
        ("with a as (delete from t where id = $1 returning *) select * from a", ALONE, "it writes within a WITH"),
        ("with a as (update t set n = 1 returning n) select n, $1::int from a", ALONE, "it writes within a WITH"),
        ("select * from t where id = $1 for update", ALONE, "it locks rows"),
        ("select * from t where id = $1 for no key update skip locked", ALONE, "it locks rows"),
        ("select * from t where id = $1 for key share", ALONE, "it locks rows"),
        ("select $1::int as a into t", ALONE, "it makes a table"),
        ("select 1; select $1::int", ALONE, "more than one statement"),
        ("show all", ALONE, "SHOW is no query"),
        ("create table t (a int)", ALONE, "CREATE is no query"),
        ("explain select $1::int", ALONE, "EXPLAIN is no query"),
        ("select 'open", ALONE, "cannot be read"),
    ],
)
def test_a_text_says_which_forms_may_be_tried(sql: str, forms: tuple[Form, ...], why: str) -> None:
    text = read(sql)
    assert text.forms == forms
    assert why in text.why
    assert bool(why) == bool(text.why)


def test_what_locks_rows_may_be_sent_together_on_demand_only() -> None:
    assert read("select * from t where id = $1 for update").on_demand == (Form.MANY,)
    assert read("select pg_advisory_xact_lock($1)").on_demand == (Form.MANY,)
    assert read("select 1; select 2").on_demand == ()


def test_a_text_without_a_statement_is_refused() -> None:
    with pytest.raises(StatementError):
        read(" ; -- nothing")


@pytest.mark.parametrize(
    ("sql", "parameters", "writes", "returns"),
    [
        ("select $3::int, $1::int", 3, False, False),
        ("insert into t values ($1, $2)", 2, True, False),
        ("insert into t values ($1) returning id", 1, True, True),
        ("insert into t select f(returning) from (select $1 returning) as returning", 1, True, False),
    ],
)
def test_a_text_says_what_it_takes_and_gives(sql: str, parameters: int, writes: bool, returns: bool) -> None:
    text = read(sql)
    assert (text.parameters, text.writes) == (parameters, writes)
    if "returning)" not in sql:
        assert text.returns == returns


def test_parameters_are_replaced_where_they_are_parameters() -> None:
    sql = """select $1, '$1', "$1", $$ $1 $$, a$1, E'\\'$1', /* $1 */ 2-$1, $2 -- $1"""
    assert with_parameters(sql, lambda number: f"<{number}>") == (
        """select  <1> , '$1', "$1", $$ $1 $$, a$1, E'\\'$1', /* $1 */ 2- <1> ,  <2>  -- $1"""
    )


def test_a_lateral_batch_keeps_the_statements_own_names() -> None:
    text = read("select id, name from people where id = $1 or name = $2;")
    sql = lateral(text, ['pg_catalog."int4"', 'pg_catalog."text"'], ["id", 'odd "name"'], fenced=True, first_row=False)
    assert sql == (
        f"SELECT _dbp_q.*, _dbp_p.{ORDINAL} FROM "
        f'unnest($1::pg_catalog."int4"[], $2::pg_catalog."text"[]) WITH ORDINALITY '
        f"AS _dbp_p(_dbp_a1, _dbp_a2, {ORDINAL}) CROSS JOIN LATERAL (SELECT * FROM (select id, name from people "
        f"where id =  _dbp_p._dbp_a1  or name =  _dbp_p._dbp_a2 \n) _dbp_s OFFSET 0\n) _dbp_q"
        f'("id", "odd ""name""")'
    )


def test_a_lateral_batch_may_stop_at_the_first_row_or_do_without_a_fence() -> None:
    text = read("select $1::int -- comment")
    first = lateral(text, ["int4"], ["int4"], fenced=True, first_row=True)
    assert "LATERAL (WITH _dbp_s AS MATERIALIZED (select  _dbp_p._dbp_a1 ::int -- comment\n) SELECT" in first
    assert "SELECT * FROM _dbp_s LIMIT 1\n) _dbp_q" in first
    bare = lateral(text, ["int4"], [], fenced=False, first_row=False)
    assert bare.endswith("LATERAL (select  _dbp_p._dbp_a1 ::int -- comment\n) _dbp_q")


def test_a_numbered_statement_returns_its_number_last() -> None:
    assert (
        many(read("select 1 -- x"), first_row=False)
        == f"SELECT _dbp_q.*, $1::bigint AS {ORDINAL} FROM (select 1 -- x\n) _dbp_q"
    )
    assert many(read("select $1::int;"), first_row=True) == (
        f"WITH _dbp_s AS MATERIALIZED (select $1::int\n) SELECT _dbp_s.*, $2::bigint AS {ORDINAL} FROM _dbp_s LIMIT 1"
    )
    assert many(read("delete from t where id = $1 returning *"), first_row=True) == (
        f"delete from t where id = $1 returning *\n, $2::bigint AS {ORDINAL}"
    )
    assert many(read("delete from t where id = $1;"), first_row=False) == "delete from t where id = $1"


def test_values_can_be_given_as_text() -> None:
    assert from_text(read("select $1 + $2"), ["int4", "int8"]) == "select  ($1::text::int4)  +  ($2::text::int8) "


class Keyed:
    """Like a record: it has keys, but is no mapping."""

    def keys(self) -> list[str]:
        return []

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[object]:
        return iter(())


@pytest.mark.parametrize("value", [[1], [], {1}, range(2), frozenset(), Keyed()])
def test_a_list_could_be_taken_for_items(value: object) -> None:
    assert could_be_items([None, value])


@pytest.mark.parametrize(
    "value", [None, 1, "a", b"a", bytearray(b"a"), memoryview(b"a"), (1, 2), {"a": 1}, 1.5, object()]
)
def test_a_value_could_not(value: object) -> None:
    assert not could_be_items([value])


def test_names_are_quoted() -> None:
    assert quoted('a"b') == '"a""b"'
