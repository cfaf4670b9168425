"""What a text needs of a session is told from the text, and nothing is refused that works."""

from __future__ import annotations

import pytest

from dbpool.core.sessionneeds import session_need

NEEDS = {
    "listen x": "LISTEN",
    "UNLISTEN *": "UNLISTEN",
    "SET a.b = 1": "SET",
    "set session characteristics as transaction read only": "SET",
    "set role app": "SET",
    "select 1; -- and\nset a.b = 1": "SET",
    "reset a.b": "RESET",
    "load 'auto_explain'": "LOAD",
    "select set_config('a.b', $1, false)": "set_config(..., false)",
    "select set_config('a.b', lower('X'), is_local => FALSE)": "set_config(..., false)",
    "select set_config('a.b', 'c', false::bool)": "set_config(..., false)",
    "select set_config('a.b', 'c', cast('f' as boolean))": "set_config(..., false)",
    "select set_config('a.b', 'c', (false))": "set_config(..., false)",
    "select set_config('a.b', 'c', NULL), true": "set_config(..., false)",
    "select pg_advisory_lock(1)": "pg_advisory_lock()",
    "select 1 where pg_catalog.pg_try_advisory_lock_shared(1, 2)": "pg_try_advisory_lock_shared()",
    "with x as (select pg_advisory_unlock_all()) select 1": "pg_advisory_unlock_all()",
    "(select pg_advisory_lock(1))": "pg_advisory_lock()",
    "create temp table t (id int)": "a temporary table, view or sequence",
    "create or replace local temporary view t as select 1": "a temporary table, view or sequence",
    "create temp table t (id int) on commit delete rows": "a temporary table, view or sequence",
    "create table pg_temp.t (id int)": "a temporary table, view or sequence",
    "select 1 as n into table pg_temp.t": "a temporary table, view or sequence",
    "explain analyze create temp table t as select 1": "a temporary table, view or sequence",
    "explain (verbose, analyze) select 1 into pg_temp.t": "a temporary table, view or sequence",
    "explain analyse verbose execute p": "EXECUTE",
    "create table if not exists t (n) as select pg_advisory_lock(1)": "pg_advisory_lock()",
    "create unlogged table t as (select pg_advisory_lock(1))": "pg_advisory_lock()",
    "create materialized view v as select set_config('a.b', 'c', false)": "set_config(..., false)",
    "declare c cursor for select pg_advisory_lock(1)": "pg_advisory_lock()",
    "with n as (insert into t values (1)) select 1 into temp x": "a temporary table, view or sequence",
    "select 1 as id into temp t": "a temporary table, view or sequence",
    "declare c cursor with hold for select 1": "a cursor WITH HOLD",
    "prepare p as select 1": "PREPARE",
    "execute p(1)": "EXECUTE",
    "deallocate p": "DEALLOCATE",
    "select currval('s')": "currval()",
    "select setseed(0)": "setseed()",
}
NONE = [
    "set local a.b = 1",
    "set transaction isolation level serializable",
    "set constraints all deferred",
    "select set_config('a.b', $1, true)",
    "select set_config('a.b', 'false', $1)",
    "select set_config('a.b', 'c', coalesce($1, false))",
    "select app.lastval(1), app.set_config(false)",
    "insert into app.currval (id) values (1)",
    "select pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(2)",
    "create temp table t (id int) on commit drop",
    "create table temp (listen int)",
    "create table t (id int default currval('s'), n bool default pg_try_advisory_lock(1))",
    "create view v as select pg_advisory_lock(1)",
    "create table t as",
    "with n as (insert into temp values (1) returning *) select * from n",
    "select 1 into",
    "explain create temp table t as select 1",
    "explain",
    "explain (analyze",
    "declare c cursor for select 1",
    "prepare transaction 'x'",
    "select nextval('s'); select currval('s')",
    "create function f() returns int language sql begin atomic select 1; select pg_advisory_lock(1); end",
    "grant execute on function pg_advisory_lock(bigint) to app",
    "update t set id = 1",
    "insert into t (set_config) values (1)",
    "select $$ pg_advisory_lock( $$, 'set a.b = 1' -- listen x",
    "notify x, 'set'",
    "select (",
    "select 'open",
    "",
]


@pytest.mark.parametrize(("sql", "what"), NEEDS.items())
def test_what_needs_a_session_is_seen(sql: str, what: str) -> None:
    need = session_need(sql, in_transaction=False)
    assert need is not None
    assert need.what == what


@pytest.mark.parametrize("sql", NONE)
def test_what_needs_none_is_let_pass(sql: str) -> None:
    assert session_need(sql, in_transaction=False) is None


def test_what_is_right_within_a_transaction_is_let_pass_there() -> None:
    assert session_need("select lastval()", in_transaction=True) is None
    assert session_need("set a.b = 1", in_transaction=True) is not None


def test_a_long_text_is_read_like_a_short_one() -> None:
    assert session_need(f"select '{'x' * 5000}'; listen x", in_transaction=False) is not None
