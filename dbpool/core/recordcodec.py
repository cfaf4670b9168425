"""Records as a binary COPY has them, encoded a column at a time.

Only what the driver would encode to the same bytes is encoded here. Anything else (a type that is not listed, a value
that is odd for its column) is for the driver, which knows all types and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import chain, repeat
from struct import Struct, error
from typing import TypeAlias, cast
from uuid import UUID

Values: TypeAlias = Sequence[object]
Encode: TypeAlias = Callable[[Values], Iterable[bytes]]

_NULL = Struct(">i").pack(-1)
_PACK_LENGTH = Struct(">i").pack
_PACK_INT = Struct(">ii").pack
_PACK_LONG = Struct(">iq").pack
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL counts from there
# The driver takes the first moment and the last one for infinities: near them it is asked.
_EARLIEST, _LATEST = ((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND for year in (2, 9999))
_MICROSECONDS_A_DAY = 86_400_000_000


class NotEncodable(Exception):
    """The driver must see these records."""


def encoder_of(types: Sequence[str | None]) -> Callable[[Sequence[Values]], bytes] | None:
    """What encodes records whose columns have these types (``pg_type.typname``); None where one is not known here.

    The function raises NotEncodable; it takes about a microsecond a record.
    """
    if not types or any(type_ not in _ENCODERS for type_ in types):
        return None
    encoders = [_ENCODERS[cast("str", type_)] for type_ in types]
    head = Struct(">h").pack(len(types))

    def encode(records: Sequence[Values]) -> bytes:
        if set(map(len, records)) - {len(encoders)}:
            raise NotEncodable
        try:
            columns = [_with_nulls(*each) for each in zip(encoders, zip(*records, strict=True), strict=True)]
            return b"".join(chain.from_iterable(zip(repeat(head, len(records)), *columns, strict=True)))
        except (error, TypeError, ValueError, OverflowError, AttributeError) as odd:
            raise NotEncodable from odd

    return encode


def _with_nulls(encode: Encode, values: Values) -> Iterable[bytes]:
    if None not in values:
        return encode(values)
    others = iter(encode([value for value in values if value is not None]))
    return [_NULL if value is None else next(others) for value in values]


def _packed(form: str) -> Encode:
    packer = Struct(f">i{form}")
    size, pack = packer.size - 4, packer.pack
    return lambda values: map(pack, repeat(size), values)


def _texts(values: Values) -> Iterable[bytes]:
    pack = _PACK_LENGTH
    return [pack(len(text)) + text for text in map(str.encode, cast("Sequence[str]", values))]


def _octets(values: Values) -> Iterable[bytes]:
    _check_type(values, bytes)
    return [_PACK_LENGTH(len(value)) + value for value in cast("Sequence[bytes]", values)]


def _booleans(values: Values) -> Iterable[bytes]:
    _check_type(values, bool)
    return _packed("?")(values)


def _uuids(values: Values) -> Iterable[bytes]:
    length = _PACK_LENGTH(16)
    return [length + value.bytes for value in cast("Sequence[UUID]", values)]


def _moments(epoch: datetime) -> Encode:
    """Of moments that have a zone, or have none, as *epoch* does: one of the other kind is a TypeError."""

    def encode(values: Values) -> Iterable[bytes]:
        _check_type(values, datetime)
        since = [(moment - epoch) // _MICROSECOND for moment in cast("Sequence[datetime]", values)]
        _check_bounds(since, _EARLIEST, _LATEST)
        return map(_PACK_LONG, repeat(8), since)

    return encode


def _days(values: Values) -> Iterable[bytes]:
    _check_type(values, date)
    epoch = _EPOCH.toordinal()
    since = [day.toordinal() - epoch for day in cast("Sequence[date]", values)]
    _check_bounds(since, _EARLIEST // _MICROSECONDS_A_DAY, _LATEST // _MICROSECONDS_A_DAY)
    return map(_PACK_INT, repeat(4), since)


def _check_type(values: Values, wanted: type) -> None:
    if set(map(type, values)) - {wanted}:
        raise NotEncodable


def _check_bounds(numbers: Sequence[int], least: int, most: int) -> None:
    if numbers and not (least <= min(numbers) and max(numbers) < most):
        raise NotEncodable


_ENCODERS: dict[str, Encode] = {
    **{name: _packed(form) for name, form in (("int2", "h"), ("int4", "i"), ("int8", "q"))},
    **{name: _packed(form) for name, form in (("float4", "f"), ("float8", "d"))},
    **dict.fromkeys(("text", "varchar", "bpchar"), _texts),
    "bool": _booleans,
    "bytea": _octets,
    "date": _days,
    "timestamp": _moments(_EPOCH.replace(tzinfo=None)),
    "timestamptz": _moments(_EPOCH),
    "uuid": _uuids,
}
