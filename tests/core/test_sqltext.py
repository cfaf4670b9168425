from __future__ import annotations

import importlib
import random
import re
from contextlib import suppress
from itertools import chain, cycle, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.sqltext import Kind, SqlTextError, Token, tokens
from dbpool.errors import StatementError

# Not a plain import: the type stubs that postgast 0.2 ships are no valid Python, and mypy stops at them
postgast = importlib.import_module("postgast")

FRAGMENTS = [
    *("'", "''", "'a'", "E'", "e'\\''", "E'\\\\'", "n'x'", "b'01'", "X'1f'", "U&'", "u&'a'", "\\", "\\'"),
    *('"', '""', '"a"', 'U&"x"', '"$1"', "uescape", "$1", "$22", "$0", "$", "$$", "$a$", "$b$", "$a", "$é$"),
    *("--", "--x\n", "-- '\n", "/*", "*/", "/", "*", "/**/", "/*/", "**/", "-", "+", "@", "::", ":", ":=", "=>"),
    *(";", ",", ".", "..", "(", ")", "[", "]", "1", "1.5", "1e5", "1.", ".5", "0x1f", "0b1", "1_000", "1..2"),
    *("a", "select", "e", "E", "n", "u", "U&", "x", "b", "é", "ſ", "a$1", "_", " ", "  ", "\n", "\t", "\r", "\f", "\v"),
]
GLUE = ["", "", " ", "\n", "\n  -- c\n ", " -- c\n"]
# Here libpg_query, which keeps comments as tokens, is not like the server: PostgreSQL 18.6 joins E'a' --\n 'b\\''
GOES_ON_OVER_A_COMMENT = re.compile(r"'\s*--[^\n\r]*[\n\r](\s|--[^\n\r]*[\n\r])*'|'\s*[\n\r]\s*--")


def kinds(sql: str) -> list[tuple[Kind, str]]:
    return [(token.kind, token.text) for token in tokens(sql)]


def servers_tokens(sql: str) -> list[tuple[int, int]]:
    """Where PostgreSQL's own scanner puts everything but comments, in characters; operators cut into characters."""
    encoded = b"" if sql.isascii() else sql.encode()
    found = []
    for token in postgast.scan(sql).tokens:
        start, end = token.start, token.end
        if encoded:
            start, end = len(encoded[:start].decode()), len(encoded[:end].decode())
        text = sql[start:end]
        if text.startswith(("--", "/*")):
            continue
        if text in ("n", "N") and sql[end : end + 1] == "'":
            continue  # to the server N'x' is NCHAR and 'x'
        whole = text in ("::", "..") or text[0] in "'\"$._" or text[0].isalnum() or not text.isascii()
        if whole or end == start + 1:
            found.append((start, end))
        else:
            found += [(at, at + 1) for at in range(start, end)]
    return found


def our_tokens(sql: str) -> list[tuple[int, int]]:
    return [(token.start + (token.text[0] in "nN" and token.kind is Kind.STRING), token.end) for token in tokens(sql)]


def test_sql_is_cut_into_words_names_strings_numbers_parameters_and_symbols() -> None:
    assert kinds("""select "a""b", $1::int -- no""") == [
        (Kind.WORD, "select"),
        (Kind.NAME, '"a""b"'),
        (Kind.SYMBOL, ","),
        (Kind.PARAMETER, "$1"),
        (Kind.SYMBOL, "::"),
        (Kind.WORD, "int"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "'it''s; $1'",
        r"E'it\'s; $1'",
        "E'a' -- comment\n  -- another\n 'b\\'; $1'",
        "'a'\n'b'",
        "U&'d!0061' ".strip(),
        "B'01'",
        "x'1F'",
        "N'a'",
        "$$a;'b$$",
        "$a_1$ $$;$1 $b$ $a_1$",
    ],
)
def test_a_string_is_one_token(text: str) -> None:
    assert kinds(f"{text} ;") == [(Kind.STRING, text), (Kind.SYMBOL, ";")]


def test_comments_nest() -> None:
    assert kinds("a /* /* $1 */ ; '*/ b") == [(Kind.WORD, "a"), (Kind.WORD, "b")]


@pytest.mark.parametrize(
    ("sql", "what", "position"),
    [
        ("select 'hunter2", "string", 7),
        (r"select E'hunter2\'", "string", 7),
        ("select u&'x", "string", 7),
        ('select "hunter2', "quoted identifier", 7),
        ("select $a$hunter2$$", "dollar quote", 7),
        ("select /* /* */ hunter2", "comment", 7),
    ],
)
def test_what_has_no_end_is_an_error_that_tells_where_but_not_what(sql: str, what: str, position: int) -> None:
    with pytest.raises(SqlTextError, match=what) as error:
        list(tokens(sql))
    assert error.value.position == position
    assert "hunter2" not in str(error.value)
    assert isinstance(error.value, StatementError)


def test_only_ascii_letters_are_folded_and_only_ascii_words_are_keywords() -> None:
    letters = 'SelecT \u017felect INTO \u212a "INTO"'
    assert [token.name for token in tokens(letters)] == ["select", "\u017felect", "into", "\u212a", "INTO"]
    assert [token.keyword for token in tokens(letters)] == ["SELECT", "", "INTO", "", ""]


def test_a_name_written_in_escapes_is_not_read() -> None:
    assert [token.name for token in tokens('U&"d!0061"')] == [""]


@given(st.text())
def test_any_text_gives_tokens_in_order_or_an_sql_text_error(sql: str) -> None:
    given_so_far: list[Token] = []
    with suppress(SqlTextError):
        given_so_far.extend(tokens(sql))
    assert all(sql[token.start : token.end] == token.text for token in given_so_far)
    assert all(token.end <= after.start for token, after in pairwise(given_so_far))


def test_tokens_are_cut_where_postgresqls_own_scanner_cuts_them() -> None:
    seeded = random.Random(5)
    compared = 0
    lengths = cycle((1, 2, 3, 4, 5, 6, 9))
    while compared < 50_000:
        length = next(lengths)  # all at once is three times as fast as one by one
        pieces = zip(seeded.choices(FRAGMENTS, k=length), seeded.choices(GLUE, k=length), strict=True)
        sql = "".join(chain.from_iterable(pieces))
        if GOES_ON_OVER_A_COMMENT.search(sql):
            continue
        try:
            expected = servers_tokens(sql)
        except postgast.PgQueryError:
            continue  # what the server refuses we may read in any way
        assert our_tokens(sql) == expected, sql
        compared += 1
