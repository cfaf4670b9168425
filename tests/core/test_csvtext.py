"""Row ends and values of a delimited text, against Python's csv module and by table."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.csvtext import Dialect, count_values, first_end, is_left_open, is_mixed, rows, values, with_feeds
from dbpool.core.cutting import Cut, Cutter, RowTooLong

DOUBLED = Dialect()
ESCAPED = Dialect(escape=b"\\")
PLAIN = Dialect(quote=b"", escape=b"")

TABLES = st.lists(st.lists(st.text('ab\\",\n\r\u00e9', max_size=6), min_size=1, max_size=4), max_size=12)
DIALECTS = st.sampled_from([DOUBLED, ESCAPED])
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def written(table: list[list[str]], dialect: Dialect, end: str) -> bytes:
    text, is_doubled = io.StringIO(newline=""), dialect.escape == dialect.quote
    csv.writer(
        text,
        lineterminator=end,
        quoting=csv.QUOTE_ALL,
        doublequote=is_doubled,
        escapechar=None if is_doubled else "\\",
    ).writerows(table)
    return text.getvalue().encode()


def cuts_of(text: bytes, sizes: list[int], dialect: Dialect, end: bytes, cut_size: int) -> list[Cut]:
    """The cuts of a text that comes in pieces of these *sizes*, again and again."""
    cutter = Cutter(dialect, end, cut_size=cut_size, longest_row=10_000, line=1, offset=0)
    cuts, at, turn = [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        if (cut := cutter.feed(text[at : at + size])) is not None:
            cuts.append(cut)
        at, turn = at + size, turn + 1
    return cuts + cutter.finish()


def joined(cut: Cut) -> bytes:
    return b"".join(cut.pieces)


@given(TABLES, DIALECTS, ENDS, st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 40))
def test_cuts_hold_whole_rows_nothing_lost_nothing_twice(
    table: list[list[str]], dialect: Dialect, end: str, sizes: list[int], cut_size: int
) -> None:
    text = written(table, dialect, end)
    cuts = cuts_of(text, sizes, dialect, end.encode(), cut_size)
    assert b"".join(map(joined, cuts)) == text
    found = [values(row, dialect) for cut in cuts for row in rows(joined(cut), dialect, end.encode())]
    assert found == [[value.encode() for value in row] for row in table]


@given(TABLES, DIALECTS, st.sampled_from(["\n", "\r\n"]), st.integers(1, 9), st.integers(1, 40))
def test_a_cut_knows_its_place_and_its_first_line(
    table: list[list[str]], dialect: Dialect, end: str, size: int, cut_size: int
) -> None:
    text = written(table, dialect, end)
    for cut in cuts_of(text, [size], dialect, end.encode(), cut_size):
        assert text[cut.offset : cut.offset + cut.size] == joined(cut)
        assert cut.line == text[: cut.offset].count(b"\n") + 1


@given(st.lists(st.sampled_from([b"a", b'"', b"\\", b"\n", b"\r\n", b","]), max_size=30), DIALECTS, st.integers(1, 9))
def test_any_text_is_cut_where_its_rows_end_however_it_comes(parts: list[bytes], dialect: Dialect, size: int) -> None:
    text = b"".join(parts)
    cuts = cuts_of(text, [size], dialect, b"\n", 1)
    assert b"".join(map(joined, cuts)) == text
    assert [row for cut in cuts for row in rows(joined(cut), dialect)] == list(rows(text, dialect))


@given(TABLES)
def test_values_are_those_of_pythons_csv_module(table: list[list[str]]) -> None:
    for row in table:
        line = written([row], DOUBLED, "\n").removesuffix(b"\n")
        assert values(line, DOUBLED) == [value.encode() for value in row]
        assert count_values(line, DOUBLED) == len(row)


def test_cuts_are_as_small_as_was_asked_for() -> None:
    cuts = cuts_of(b"1,a\n2,b\n3,c\n4,d\n", [4], DOUBLED, b"\n", 8)
    assert [joined(cut) for cut in cuts] == [b"1,a\n2,b\n", b"3,c\n4,d\n"]


def test_a_row_that_leaves_a_quote_open_stands_alone() -> None:
    cuts = cuts_of(b'1,a\n2,"b\n3,c\n', [5], DOUBLED, b"\n", 1000)
    assert [(joined(cut), cut.line) for cut in cuts] == [(b"1,a\n", 1), (b'2,"b\n3,c\n', 2)]


def test_a_row_that_does_not_end_is_told_with_the_line_where_it_begins() -> None:
    cutter = Cutter(DOUBLED, b"\n", cut_size=10, longest_row=20, line=1, offset=0)
    cutter.feed(b'1,"a\nb"\n2,"c\n')
    with pytest.raises(RowTooLong, match="line 3") as caught:
        cutter.feed(b"d\n" * 10)
    assert (caught.value.line, caught.value.size) == (3, 20)


@pytest.mark.parametrize(
    ("text", "is_all", "expected"),
    [
        (b"a,b\nc", False, (4, b"\n")),
        (b"a,b\r\nc", False, (5, b"\r\n")),
        (b"a,b\rc", False, (4, b"\r")),
        (b"a,b\r", False, None),  # half of an end, perhaps
        (b"a,b\r", True, (4, b"\r")),
        (b'"a\nb"\nc', False, (6, b"\n")),
        (b'"a\nb', True, None),
        (b"a,b", True, None),
        (b"", True, None),
    ],
)
def test_the_first_row_says_what_ends_a_row(text: bytes, is_all: bool, expected: tuple[int, bytes] | None) -> None:
    assert first_end(text, DOUBLED, is_all=is_all) == expected


@pytest.mark.parametrize(
    ("text", "end", "expected"),
    [
        (b"a\nb\r\nc", b"\n", [b"a", b"b", b"c"]),
        (b"a\r\nb\nc\n", b"\r\n", [b"a", b"b", b"c"]),
        (b"a\rb\n", b"\n", [b"a\rb"]),  # for the server to refuse
        (b"a\rb\r\nc\n", b"\r", [b"a", b"b", b"c"]),
        (b"\n\n", b"\n", [b"", b""]),
        (b'"a\n"\n', b"\n", [b'"a\n"']),
        (b'x"a\n"y\nz', b"\n", [b'x"a\n"y', b"z"]),  # a quote counts wherever it stands
    ],
)
def test_rows_end_where_copy_ends_them(text: bytes, end: bytes, expected: list[bytes]) -> None:
    assert list(rows(text, DOUBLED, end)) == expected


@pytest.mark.parametrize(
    ("row", "dialect", "expected"),
    [
        (b"a,,b", DOUBLED, [b"a", None, b"b"]),
        (b'a,"",b', DOUBLED, [b"a", b"", b"b"]),
        (b'x"y,"z', DOUBLED, [b"xy,z"]),
        (b'"a""b"', DOUBLED, [b'a"b']),
        (b'"a\\"b",c', ESCAPED, [b'a"b', b"c"]),
        (b'"a\\nb"', ESCAPED, [b"a\\nb"]),
        (b"a\\,b", ESCAPED, [b"a\\", b"b"]),  # an escape means nothing outside of quotes
        (b"", DOUBLED, [None]),
    ],
)
def test_values_are_read_as_copy_reads_them(row: bytes, dialect: Dialect, expected: list[bytes | None]) -> None:
    assert values(row, dialect) == expected
    assert count_values(row, dialect) == len(expected)


@pytest.mark.parametrize(("row", "expected"), [(b'a,"b', True), (b'a,"b"', False), (b"a", False), (b'"""', True)])
def test_a_row_can_be_left_open(row: bytes, expected: bool) -> None:
    assert is_left_open(row, DOUBLED) is expected


def test_without_quotes_every_line_is_a_row() -> None:
    assert list(rows(b'{"a": "x"}\r\n"\n', PLAIN)) == [b'{"a": "x"}', b'"']
    assert [joined(cut) for cut in cuts_of(b'"a\n"b\n', [2], PLAIN, b"\n", 1)] == [b'"a\n', b'"b\n']


@given(st.lists(st.sampled_from([b"a", b'"', b"\n", b"\r\n", b"\r"]), max_size=20), st.integers(1, 9), ENDS)
def test_a_text_whose_rows_end_in_another_way_is_never_missed(parts: list[bytes], size: int, end: str) -> None:
    text = b"".join(parts)
    uniform = with_feeds(text, DOUBLED, end.encode())
    if not is_mixed([text[at : at + size] for at in range(0, len(text), size)], end.encode()) and b'"' not in text:
        assert uniform == text.replace(end.encode(), b"\n")
    assert list(rows(uniform, DOUBLED)) == list(rows(text, DOUBLED, end.encode()))
