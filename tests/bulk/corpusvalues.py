"""Values of each type of parameter, those that fail among them."""

from __future__ import annotations

import enum
import ipaddress
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Level(enum.IntEnum):
    LOW = 1


class Word(str, enum.Enum):  # noqa: UP042 - as old programs have them
    ONE = "one"


class Index:
    def __index__(self) -> int:
        return 7


INTS = [0, -1, 1, True, Number(5), Level.LOW, Index(), 2**15, 2**31, 2**63, 2**100, 1.0, "1", Decimal(1)]
TEXTS = ["", "a", "é", "NULL", '{"a"}', "a\\b", Text("sub"), Word.ONE, "x\0", "\udc80", b"bytes", 5, "x" * 5000]
NOON = datetime(2024, 2, 29, 12, 30, 15, 123456, UTC)
WHEN = NOON.replace(tzinfo=None)

PLAIN: dict[str, list[Any]] = {
    "int2": INTS,
    "int4": INTS,
    "int8": INTS,
    "oid": [0, 2**32 - 1, 2**32, -1],
    "float4": [0.1, -0.0, math.inf, math.nan, 1e300, 1, Decimal("1.5"), "1"],
    "float8": [0.1, -0.0, math.inf, math.nan, 1e300, 2**80, Decimal("1.5"), "1"],
    "numeric": [
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1.10"),
        Decimal("1e500"),
        Decimal("sNaN"),
        5,
        1.5,
        "2",
        "x",
    ],
    "money": ["$1.50", "x", 5],
    "bool": [True, False, 1, 0, "t", None],
    "text": TEXTS,
    "varchar": TEXTS,
    "bpchar": TEXTS,
    "name": ["a", "x" * 63, "x" * 64],
    '"char"': ["a", "ab", "", "é", b"a"],
    "bytea": [b"", b"a\0", bytearray(b"b"), memoryview(b"c"), "text", 5],
    "uuid": [UUID(int=5), str(UUID(int=6)), "x", 5],
    "date": [date(2024, 2, 29), WHEN, date.min, date.max, "2024-01-01"],
    "time": [time(1, 2, 3), time(1, tzinfo=UTC), "01:00"],
    "timetz": [time(1, tzinfo=UTC), time(1), "01:00"],
    "timestamp": [WHEN, NOON, date(2024, 1, 1), WHEN.replace(9996), "x"],
    "timestamptz": [NOON, WHEN.replace(tzinfo=timezone(timedelta(hours=5))), WHEN, "x"],
    "interval": [timedelta(1, 2, 3), timedelta.max, timedelta(-5), "1 day"],
    "json": ["{}", '[1, "a"]', "null", "{", 5, {"a": 1}],
    "jsonb": ["{}", '[1, "a"]', "null", "{", "", {"a": 1}],
    "inet": ["10.0.0.1", "10.0.0.0/8", ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/24"), "x"],
    "cidr": ["10.0.0.0/8", ipaddress.ip_network("10.0.0.0/24"), "10.0.0.1/8"],
    "macaddr": ["08:00:2b:01:02:03", "x"],
    "bit": [asyncpg.BitString.from_int(1, 1), asyncpg.BitString.from_int(5, 3), "1"],
    "varbit": [asyncpg.BitString.from_int(5, 3), asyncpg.BitString(), "1"],
    "point": [(1, 2), asyncpg.Point(3, 4), (1,)],
    "box": [((1, 2), (3, 4)), asyncpg.Box((1, 2), (3, 4)), ((1, 2),)],
    "lseg": [((1, 2), (3, 4)), asyncpg.LineSegment((1, 2), (3, 4))],
    "line": [asyncpg.Line(1, 2, 3), (1, 2, 3)],
    "circle": [asyncpg.Circle(asyncpg.Point(1, 2), 3), (1, 2, 3), ((1, 2), 3)],
    "int4range": [asyncpg.Range(1, 5), asyncpg.Range(5, 1), asyncpg.Range(empty=True), (1, 2), asyncpg.Range(), 5],
    "tstzrange": [asyncpg.Range(NOON), (None, None), asyncpg.Range(1, 2)],
    "floats": [asyncpg.Range(0.5, 1.5), asyncpg.Range(2.0, 1.0)],
    "mood": ["sad", "happy", "angry", "", Text("ok"), 5],
    '"Other"."Mixed Mood"': ["a", "B", "b"],
    "tsvector": ["'a':1", "a b", "'"],
    "tsquery": ["a & b", "a &"],
    "jsonpath": ["$.a", "$["],
    "xid8": [5, 2**70],
    "pg_lsn": ["0/1", "x"],
    "regclass": [1259, "pg_class", 5],
    "positive": [1, -1, 0, "x"],
    "code": ["abc", "x", "abcd", ""],
}
"""Of which there are arrays like themselves."""

OTHER: dict[str, list[Any]] = {
    "int4[]": [[1, 2], [3, 4], [], [[1, 2], [3, 4]], [[[1]]], [None], ["a"], 5, (1, 2)],
    "text[]": [["a"], ["b", None], [["a", "b"]], "ab", {"a": 1}],
    "ints": [[1, 2], [3, 4], [], 5],
    "pair": [(1, "a"), (None, None), ("x", "y"), (1, 2, 3), [1, "a"], {"a": 1, "b": "b"}],
    "pair[]": [[(1, "a")], [], [(1, "a"), None]],
    "int2vector": ["1 2", [1, 2]],
    "int4multirange": [[asyncpg.Range(1, 5)], [], [(1, 2), (5, 6)], 5],
    "path": [asyncpg.Path((0, 0), (1, 1)), [(1, 2), (3, 4)], ((1, 2), (3, 4))],
    "polygon": [asyncpg.Polygon((0, 0), (1, 1), (2, 0)), [(1, 2), (3, 4)]],
}
"""Of which a list of values would be read otherwise, or cannot be made."""
