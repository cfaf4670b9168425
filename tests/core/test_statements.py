from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.sqltext import Kind, SqlTextError, tokens
from dbpool.core.statements import Statement, classify, transaction_commands
from tests.support.statements import CALL, HARMLESS, HOSTILE, INVISIBLE, UNPROVEN

BLANKS = st.sampled_from([" ", "\n", "\t\r\n", " /* ' /* ; */ $9 */ ", " -- set_config('\n", "/**/ "])


@pytest.mark.parametrize("sql", HARMLESS)
def test_a_harmless_statement_keeps_the_session(sql: str) -> None:
    assert classify(sql).keeps_session


@pytest.mark.parametrize("sql", [*HOSTILE, *UNPROVEN])
def test_a_statement_that_may_change_the_session_is_never_called_harmless(sql: str) -> None:
    assert not classify(sql).keeps_session
    assert not classify(f"select 1; {sql}").keeps_session
    assert not classify(f"{sql}; select 1").keeps_session


@pytest.mark.parametrize("sql", INVISIBLE)
def test_what_a_server_does_behind_a_harmless_text_is_not_seen(sql: str) -> None:
    assert classify(sql).keeps_session


@given(sql=st.sampled_from([*HARMLESS, *HOSTILE]), data=st.data())
def test_comments_blanks_and_case_change_nothing(sql: str, data: st.DataObject) -> None:
    pieces = [data.draw(BLANKS)]
    for token in tokens(sql):
        swapped = token.kind is Kind.WORD and token.text.isascii() and data.draw(st.booleans())
        pieces += [token.text.swapcase() if swapped else token.text, data.draw(BLANKS)]
    if (
        re.search(r"'\s*([^'\s]*\s+)?uescape", sql, re.IGNORECASE)
        or len(list(tokens("".join(pieces)))) != len(pieces) // 2
    ):
        return  # two constants have become one
    assert classify("".join(pieces)) == classify(sql)


@given(sql=st.sampled_from([sql for sql in HARMLESS if ";" not in sql]), data=st.data())
def test_a_call_put_anywhere_is_found(sql: str, data: st.DataObject) -> None:
    constants = [t for t in tokens(sql) if t.kind in (Kind.STRING, Kind.NUMBER, Kind.PARAMETER)]
    constants = [t for t in constants if not re.search(r"(\$'|\bname|path) *$", sql[: t.start])]
    if constants:
        token = data.draw(st.sampled_from(constants))
        assert not classify(sql[: token.start] + CALL + sql[token.end :]).keeps_session


@given(
    st.text()
    | st.lists(st.sampled_from([*"();,.'\"$", "$1", "$$", "::", "as", "with", "into", "over", "x", " "])).map("".join)
)
def test_any_text_is_classified_or_refused_as_no_statement(sql: str) -> None:
    with suppress(SqlTextError):
        assert classify(sql).count >= 1


@pytest.mark.parametrize("sql", ["", " \n\t", "-- x", "/* x */", ";", " ; -- x\n ;"])
def test_a_text_without_a_statement_is_refused(sql: str) -> None:
    with pytest.raises(SqlTextError, match="no statement"):
        classify(sql)


@pytest.mark.parametrize(("sql", "position"), [("select '\0'", 8), ("select '\ud800'", 8), ("é\udfff", 1)])
def test_what_cannot_be_sent_is_refused_wherever_it_is(sql: str, position: int) -> None:
    with pytest.raises(SqlTextError) as error:
        classify(sql)
    assert error.value.position == position


@pytest.mark.parametrize("sql", ["select 'x", "'", 'select "x', "select $a$ x", "select 1 /* x", "set x = 'y"])
def test_what_has_no_end_is_left_to_the_server_but_proves_nothing(sql: str) -> None:
    found = classify(sql)
    assert (found.keeps_session, found.reads_only, found.count) == (False, False, 1)


def test_functions_that_the_user_trusts_keep_the_session() -> None:
    sql = "select my_total(1), shop.price(2), lower('A')"
    assert not classify(sql).keeps_session
    assert not classify(sql, frozenset({"my_total", "price"})).keeps_session
    assert classify(sql, frozenset({"my_total", "shop.price"})).keeps_session
    assert not classify(sql, frozenset({"my_total", "shop.price"})).reads_only


@pytest.mark.parametrize(
    ("sql", "trusted"),
    [
        ('select "Total"(1)', "total"),
        ('select "shop.price"(1)', "shop.price"),
        ("select a.shop.price(1)", "shop.price"),
        ("select pg_catalog.set_config('a.b', 'c', false)", "set_config"),
        ("select treat(0.5::float8 as setseed)", "treat"),
        ("select 1 operator(pg_catalog.+) length(set_config('a.b', 'c', false))", "operator"),
    ],
)
def test_trust_in_one_name_is_no_trust_in_another(sql: str, trusted: str) -> None:
    assert not classify(sql, frozenset({trusted})).keeps_session


def test_names_are_folded_as_the_server_folds_them() -> None:
    trusted = frozenset({"my_total", "Total", "shop.price"})
    assert classify('select MY_Total(1), "Total"(2), SHOP . /* . */ "price"(3)', trusted).keeps_session
    assert not classify("select Total(1)", trusted).keeps_session


@pytest.mark.parametrize(
    ("sql", "first_word", "count", "parameters"),
    [
        ("select $2, $10, '$11', \"$12\" -- $13", "SELECT", 1, 10),
        ("((select 1))", "SELECT", 1, 0),
        ("; select 1;; delete from t;", "SELECT", 2, 0),
        ("vacuum", "VACUUM", 1, 0),
        ('"select" 1', "", 1, 0),
        ("create rule r as on insert to t do (select 1; select 2); select 3", "CREATE", 2, 0),
        (
            "create function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3",
            "CREATE",
            2,
            0,
        ),
        ("select $0, $00000000000000000000000000000001", "SELECT", 1, 1),
        (f"select ${'9' * 5000}", "SELECT", 1, 9_999_999_999),
    ],
)
def test_words_statements_and_parameters_are_counted(sql: str, first_word: str, count: int, parameters: int) -> None:
    found = classify(sql)
    assert (found.first_word, found.count, found.parameters) == (first_word, count, parameters)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("copy t from stdin", True),
        ("COPY shop.t (a, b) /* x */ FROM STDIN WITH (FORMAT csv)", True),
        ("copy (select a from t) to stdout", True),
        ("select 1; copy t to stdout", True),
        ("copy t from '/tmp/stdin'", False),
        ("copy t to program 'stdout'", False),
        ("copy t from '/x' where a is distinct from stdin", False),
        ("select 'copy t from stdin'", False),
        ("copy", False),
    ],
)
def test_a_copy_that_talks_to_the_client_is_told(sql: str, expected: bool) -> None:
    assert classify(sql).is_copy_stdio is expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        *(
            (sql, True)
            for sql in ("begin", "Begin;", "start transaction read only", "commit and chain", "end", "abort")
        ),
        *((sql, True) for sql in ("rollback", "rollback to s", "savepoint s", "release s", "prepare transaction 'x'")),
        *((sql, True) for sql in ("commit prepared 'x'", "rollback prepared 'x'", "/* x */ COMMIT")),
        *((sql, False) for sql in ("prepare p as select 1", "begin; select 1", "select 1; commit", "set x = 1")),
        *((sql, False) for sql in ("start", "prepare", "declare c cursor for select 1", "do 'begin end'")),
    ],
)
def test_a_single_statement_that_controls_a_transaction_is_told(sql: str, expected: bool) -> None:
    assert classify(sql).controls_transaction is expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select count(*) from t where a in (select b from u)", True),
        ("with c as (table t) select * from c", True),
        ("values (1); select 2", True),
        ("select substring('abc' for 2)", True),
        ("select * from t for update", False),
        ("select * from t for key share of t", False),
        ("with c as (delete from t returning 1) select * from c", False),
        ("update t set a = 1", False),
        ("select pg_notify('a', 'b')", False),
        ("select pg_advisory_xact_lock(1)", False),
        ("select nextval('s')", False),
        ("select unknown()", False),
        ("explain select 1", False),
    ],
)
def test_reading_only_is_told_when_it_is_certain(sql: str, expected: bool) -> None:
    assert classify(sql).reads_only is expected


@pytest.mark.parametrize(
    ("sql", "commands"),
    [
        ("select 1", []),
        ("begin", ["BEGIN"]),
        ("insert into t values (1); commit; start transaction", ["COMMIT", "START"]),
        ("/* x */ end; prepare transaction 'x'; prepare p as select 1", ["END", "PREPARE"]),
        ("savepoint s; rollback to s; rollback work to savepoint s; release s", []),
        ("rollback; abort", ["ROLLBACK", "ABORT"]),
        ("create function f() returns int begin atomic select 1; end; rollback", ["ROLLBACK"]),
        ("select 'commit; rollback'", []),
        ("select 'not closed; commit", []),
    ],
)
def test_what_begins_or_ends_a_transaction_is_told_from_savepoints(sql: str, commands: list[str]) -> None:
    assert transaction_commands(sql) == commands


def test_a_long_text_is_answered_like_a_short_one() -> None:
    for characters in (5_000, 300_000):
        found = classify(f"select '{'x' * characters}', $3, lower('A')")
        assert found == Statement("SELECT", 1, 3, True, False, False, True)
        assert not classify(f"select '{'x' * characters}', {CALL}").keeps_session


def test_deeply_nested_text_is_answered_without_a_deep_stack() -> None:
    assert classify("select " + "(" * 20_000 + "1" + ")" * 20_000).keeps_session
    assert not classify("select " + "abs(" * 20_000 + CALL + ")" * 20_000).keeps_session
