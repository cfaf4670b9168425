"""Records encoded for a binary COPY, byte by byte, and those that are left to the driver."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest

from dbpool.core.recordcodec import NotEncodable, encoder_of

NAIVE = datetime.fromisoformat("2000-01-01T00:00:01")


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("int2", -2, b"\xff\xfe"),
        ("int4", 258, b"\0\0\1\2"),
        ("int8", -1, b"\xff" * 8),
        ("float4", 0.5, struct.pack(">f", 0.5)),
        ("float8", 1e300, struct.pack(">d", 1e300)),
        ("bool", True, b"\1"),
        ("text", "\u00e9", b"\xc3\xa9"),
        ("varchar", "", b""),
        ("bytea", b"\0\1", b"\0\1"),
        ("date", date(1999, 12, 31), b"\xff\xff\xff\xff"),
        ("timestamp", NAIVE, struct.pack(">q", 1_000_000)),
        ("timestamptz", NAIVE.replace(tzinfo=UTC), struct.pack(">q", 1_000_000)),
        ("timestamptz", NAIVE.replace(tzinfo=timezone(timedelta(seconds=1))), bytes(8)),
        ("uuid", UUID(int=7), bytes(15) + b"\7"),
    ],
)
def test_a_value_is_its_length_and_its_bytes(type_: str, value: object, expected: bytes) -> None:
    encode = encoder_of([type_])
    assert encode is not None
    assert encode([(value,)]) == b"\0\1" + struct.pack(">i", len(expected)) + expected
    assert encode([(None,), (value,)]) == b"\0\1\xff\xff\xff\xff" + encode([(value,)])


def test_records_follow_each_other_with_their_columns_in_order() -> None:
    encode = encoder_of(["int2", "text"])
    assert encode is not None
    assert encode([(1, "a"), (None, None), [2, "b"]]) == (
        b"\0\2\0\0\0\2\0\1\0\0\0\1a" + b"\0\2\xff\xff\xff\xff\xff\xff\xff\xff" + b"\0\2\0\0\0\2\0\2\0\0\0\1b"
    )


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("int2", 40_000),
        ("int4", 1.0),
        ("int4", "1"),
        ("int8", 2**63),
        ("float4", 1e300),
        ("bool", 1),
        ("text", 1),
        ("text", b"x"),
        ("text", "\ud800"),
        ("bytea", "x"),
        ("date", NAIVE),
        ("date", date.max),
        ("timestamp", NAIVE.replace(tzinfo=UTC)),
        ("timestamptz", NAIVE),
        ("timestamptz", date(2000, 1, 1)),
        ("timestamptz", datetime.max.replace(tzinfo=UTC)),  # the driver's word for infinity
        ("timestamp", datetime.min),  # noqa: DTZ901 - the other one
        ("uuid", "00000000-0000-0000-0000-000000000007"),
    ],
)
def test_what_the_driver_might_see_otherwise_is_left_to_it(type_: str, value: object) -> None:
    encode = encoder_of([type_])
    assert encode is not None
    with pytest.raises(NotEncodable):
        encode([(value,)])


@pytest.mark.parametrize("record", [(1,), (1, 2, 3), ()])
def test_a_record_of_another_length_is_left_to_the_driver(record: tuple[int, ...]) -> None:
    encode = encoder_of(["int4", "int4"])
    assert encode is not None
    with pytest.raises(NotEncodable):
        encode([(1, 2), record])


def test_a_type_that_is_not_known_is_left_to_the_driver() -> None:
    assert encoder_of(["int4", "numeric"]) is None
    assert encoder_of(["public.int4"]) is None
    assert encoder_of([None]) is None
    assert encoder_of([]) is None
