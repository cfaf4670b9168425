"""What each format asks of the server, and what is left of it when parts are joined."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.copyformats import (
    BINARY_HEADER,
    BINARY_TRAILER,
    BinaryPart,
    Csv,
    Format,
    as_json,
    copy_options,
    named_format,
)
from dbpool.errors import UsageError


@pytest.mark.parametrize(
    ("given_format", "name", "is_named"),
    [
        ("csv", "a.parquet", Format.CSV),
        (Csv(delimiter=";"), "a.txt", Format.CSV),
        ("binary", "", Format.BINARY),
        (None, "", Format.CSV),
        (None, "a.csv", Format.CSV),
        (None, "a.CSV.GZ", Format.CSV),
        (None, "a.ndjson.gz", Format.NDJSON),
        (None, "a.jsonl", Format.NDJSON),
        (None, "a.json", Format.JSON),
        (None, "a.b.parquet", Format.PARQUET),
        (None, "a.bin", Format.BINARY),
        (None, "a.pgcopy", Format.BINARY),
    ],
)
def test_the_format_is_the_one_asked_for_or_that_of_the_name(
    given_format: str | Csv | None, name: str, is_named: Format
) -> None:
    assert named_format(given_format, name) is is_named


@pytest.mark.parametrize(("given_format", "name"), [("xlsx", "a.csv"), ("CSV", ""), (None, "a.txt"), (None, "a")])
def test_an_unknown_format_is_refused_with_those_there_are(given_format: str | None, name: str) -> None:
    with pytest.raises(UsageError, match="'csv', 'binary', 'parquet', 'ndjson', 'json'"):
        named_format(given_format, name)


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ";;"},
        {"delimiter": ""},
        {"delimiter": "\n"},
        {"delimiter": "ä"},
        {"quote": ","},
        {"escape": "ab"},
        {"null": "a,b"},
        {"null": 'a"b'},
        {"null": "\n"},
    ],
)
def test_csv_that_the_server_would_refuse_is_refused_at_once(options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        Csv(**options)  # type: ignore[arg-type]


def test_only_the_first_of_joined_parts_has_a_header() -> None:
    assert [copy_options(Format.CSV, Csv(), is_first=is_first)["header"] for is_first in (True, False)] == [True, False]
    assert copy_options(Format.CSV, Csv(header=False), is_first=True)["header"] is False


def test_a_write_as_json_stands_in_with_where_it_may() -> None:
    assert as_json("select 1").endswith("FROM (select 1) AS r")
    assert as_json("delete from t returning a", is_write=True).startswith(
        "WITH r AS (delete from t returning a) SELECT"
    )


@given(rows=st.binary(max_size=60), cuts=st.lists(st.integers(0, 90), max_size=8))
def test_header_and_trailer_come_off_wherever_the_pieces_are_cut(rows: bytes, cuts: list[int]) -> None:
    whole = BINARY_HEADER + rows + BINARY_TRAILER
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    part = BinaryPart()
    kept = [part.rows_of(whole[start:end]) for start, end in pairwise(places)]
    assert b"".join([*kept, part.end()]) == rows
