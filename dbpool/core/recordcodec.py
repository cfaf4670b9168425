"""Records as a binary COPY has them, encoded a column at a time.

Only what the driver would encode to the same bytes is encoded here. Anything else (a type that is not listed, a value
that is odd for its column) is for the driver, which knows all types and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import repeat
from operator import add, sub
from struct import Struct, calcsize, error
from typing import TypeAlias, cast
from uuid import UUID

Values: TypeAlias = Sequence[object]

_LENGTH = Struct(">i")
_NULL = _LENGTH.pack(-1)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL counts from there
# The driver takes the first moment and the last one for infinities: near them it is asked.
_EARLIEST, _LATEST = ((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND for year in (2, 9999))
_MICROSECONDS_A_DAY = 86_400_000_000


class NotEncodable(Exception):
    """The driver must see these records."""


@dataclass(frozen=True, slots=True)
class _Type:
    """How values that are not NULL are written.

    Args:
        form: of one value, as ``struct`` has it; "" where *written* gives the bytes of each, of any length.
        written: makes of a column's values what *form* takes.
    """

    form: str
    written: Callable[[Values], Sequence[object]]
    length: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", _LENGTH.pack(calcsize(f">{self.form}")))

    def with_nulls(self, values: Values) -> list[bytes]:
        """Each value with its length before it."""
        written = self.written([value for value in values if value is not None])
        if self.form:
            whole = map(Struct(f">4s{self.form}").pack, repeat(self.length), written)
        else:
            octets = cast("Sequence[bytes]", written)
            whole = map(add, map(_LENGTH.pack, map(len, octets)), octets)
        return [_NULL if value is None else next(whole) for value in values]


def encoder_of(types: Sequence[str | None]) -> Callable[[Sequence[Values]], bytes] | None:
    """What encodes records whose columns have these types (``pg_type.typname``); None where one is not known here.

    The function raises NotEncodable; it takes half a microsecond a record of four columns. What is of a fixed size is
    packed together as far as it stands together: to join pieces costs more than to make them.
    """
    if not types or any(type_ not in _TYPES for type_ in types):
        return None
    columns = [_TYPES[cast("str", type_)] for type_ in types]
    head = Struct(">h").pack(len(types))

    def encode(records: Sequence[Values]) -> bytes:
        if set(map(len, records)) - {len(columns)}:
            raise NotEncodable
        try:
            return _joined(records, columns, head)
        except (error, TypeError, ValueError, OverflowError, AttributeError) as odd:
            raise NotEncodable from odd

    return encode


def _joined(records: Sequence[Values], columns: Sequence[_Type], head: bytes) -> bytes:
    count = len(records)
    pieces: list[Iterable[bytes]] = []  # each has one for each record
    known, form, fields = head, ">", list[Iterable[object]]()  # what comes next in all of them: fields, then bytes
    for column, values in zip(columns, zip(*records, strict=True), strict=True):
        if None in values:
            if fields:
                pieces.append(map(Struct(f"{form}{len(known)}s").pack, *fields, repeat(known)))
            elif known:
                pieces.append([known] * count)
            pieces.append(column.with_nulls(values))
        elif column.form:
            known += column.length
            form += f"{len(known)}s{column.form}"
            fields += [repeat(known), column.written(values)]
            known = b""
            continue
        else:
            octets = cast("Sequence[bytes]", column.written(values))
            pieces += [map(Struct(f"{form}{len(known)}si").pack, *fields, repeat(known), map(len, octets)), octets]
        known, form, fields = b"", ">", []
    if fields:
        pieces.append(map(Struct(form).pack, *fields))
    joined = [b""] * (count * len(pieces))
    for place, of_all in enumerate(pieces):
        joined[place :: len(pieces)] = of_all
    return b"".join(joined)


def _as_they_are(values: Values) -> Values:
    return values


def _texts(values: Values) -> list[bytes]:
    return list(map(str.encode, cast("Sequence[str]", values)))


def _only(wanted: type) -> Callable[[Values], Values]:
    def checked(values: Values) -> Values:
        _check_type(values, wanted)
        return values

    return checked


def _uuids(values: Values) -> list[bytes]:
    return [value.bytes for value in cast("Sequence[UUID]", values)]


def _moments(epoch: datetime) -> Callable[[Values], list[int]]:
    """Of moments that have a zone, or have none, as *epoch* does: one of the other kind is a TypeError."""

    def written(values: Values) -> list[int]:
        _check_type(values, datetime)
        since = [
            (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds  # a division takes longer
            for delta in map(sub, cast("Sequence[datetime]", values), repeat(epoch))
        ]
        _check_bounds(since, _EARLIEST, _LATEST)
        return since

    return written


def _days(values: Values) -> list[int]:
    _check_type(values, date)
    epoch = _EPOCH.toordinal()
    since = [day.toordinal() - epoch for day in cast("Sequence[date]", values)]
    _check_bounds(since, _EARLIEST // _MICROSECONDS_A_DAY, _LATEST // _MICROSECONDS_A_DAY)
    return since


def _check_type(values: Values, wanted: type) -> None:
    if set(map(type, values)) - {wanted}:
        raise NotEncodable


def _check_bounds(numbers: Sequence[int], least: int, most: int) -> None:
    if numbers and not (least <= min(numbers) and max(numbers) < most):
        raise NotEncodable


_NUMBERS = {"int2": "h", "int4": "i", "int8": "q", "float4": "f", "float8": "d"}
_TYPES: dict[str, _Type] = {
    **{name: _Type(form, _as_they_are) for name, form in _NUMBERS.items()},
    **dict.fromkeys(("text", "varchar", "bpchar"), _Type("", _texts)),
    "bool": _Type("?", _only(bool)),
    "bytea": _Type("", _only(bytes)),
    "date": _Type("i", _days),
    "timestamp": _Type("q", _moments(_EPOCH.replace(tzinfo=None))),
    "timestamptz": _Type("q", _moments(_EPOCH)),
    "uuid": _Type("16s", _uuids),
}
