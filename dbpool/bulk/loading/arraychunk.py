"""Columns that are numpy arrays, encoded without a look at single values."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from dbpool.bulk.loading.binarychunk import SIGNATURE, TRAILER, BinaryChunk
from dbpool.bulk.loading.options import Load
from dbpool.bulk.loading.target import Target
from dbpool.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

INTEGERS = {"int2": ">i2", "int4": ">i4", "int8": ">i8", "oid": ">u4"}
FLOATS = {"float4": ">f4", "float8": ">f8"}
TIMES = {"timestamp": "us", "timestamptz": "us", "date": "D"}
EPOCH = "2000-01-01"  # PostgreSQL counts from there


@dataclass(frozen=True, slots=True)
class Arrays:
    """Arrays of one length, each fit for its column; *size* is their bytes."""

    columns: dict[str, Array]
    types: dict[str, str]
    length: int
    size: int
    chunk_bytes: int

    @classmethod
    def of(cls, given: Mapping[str, object], load: Load, target: Target) -> Arrays:
        """Check them against the table.

        Raises:
            UsageError: an array is not 1-D, of another length, or not of a type that its column takes as it is.
        """
        names = load.columns or tuple(given)
        if missing := [name for name in names if name not in given]:
            raise UsageError(f"there is no array for {', '.join(missing)}")
        arrays = {name: cast("Array", given[name]) for name in names}
        lengths = {name: array.shape for name, array in arrays.items()}
        if len(set(lengths.values())) != 1 or any(len(shape) != 1 for shape in lengths.values()):
            raise UsageError(f"arrays must be 1-D and of one length, not of shapes {lengths}")
        if unknown := [name for name in names if name not in target.types]:
            raise UsageError(f"table {target.sql} has no column {', '.join(unknown)} that can be written to")
        for name, array in arrays.items():
            _check(name, array, target.types[name])
        size = sum(array.nbytes for array in arrays.values())
        types = {name: target.types[name] for name in names}
        return cls(arrays, types, len(arrays[names[0]]), size, load.cut_size(size))

    def chunks(self) -> Generator[BinaryChunk, None, None]:
        """Chunks of about ``chunk_bytes``, as they are sent."""
        width = 2 + sum(4 + _wire(type_).itemsize for type_ in self.types.values())
        rows = max(self.chunk_bytes // width, 1)
        for start in range(0, self.length, rows):
            part = {name: array[start : start + rows] for name, array in self.columns.items()}
            count = min(rows, self.length - start)
            yield BinaryChunk(
                *(start, count, sum(array.nbytes for array in part.values())),
                pieces=[SIGNATURE, _encoded(part, self.types, count), TRAILER],
                columns=tuple(part),
                records=lambda part=part: _records(part),  # type: ignore[misc] # the default binds it
            )


def _check(name: str, array: Array, type_: str) -> None:
    import numpy as np

    kind, dtype = array.dtype.kind, array.dtype
    if type_ in INTEGERS and kind in "iu":
        limits, known = np.iinfo(np.dtype(INTEGERS[type_])), np.ma.compressed(array)
        if len(known) and not (limits.min <= int(known.min()) and int(known.max()) <= limits.max):
            raise UsageError(f"column {name!r} is {type_}, and the array holds {known.min()} to {known.max()}")
        return
    if type_ in FLOATS and kind == "f" and np.can_cast(dtype, np.dtype(FLOATS[type_])):
        return
    if (type_ == "bool" and kind == "b") or (type_ in TIMES and kind == "M"):
        return
    raise UsageError(
        f"column {name!r} is {type_}, for which an array of {dtype} cannot be encoded without a look at each value: "
        f"cast it with astype(), or pass records or an Arrow table"
    )


def _wire(type_: str) -> np.dtype[np.generic]:
    import numpy as np

    return np.dtype({**INTEGERS, **FLOATS, "bool": "u1", "date": ">i4"}.get(type_, ">i8"))


def _encoded(part: Mapping[str, Array], types: Mapping[str, str], count: int) -> memoryview:
    """Rows one after the other: the number of values, then each value's length before it."""
    import numpy as np

    fields: list[tuple[str, object]] = [("count", ">i2")]
    for number, type_ in enumerate(types.values()):
        fields += [(f"length{number}", ">i4"), (f"value{number}", _wire(type_))]
    rows = np.empty(count, np.dtype(fields))
    rows["count"] = len(types)
    nulls: list[tuple[int, NDArray[np.bool_]]] = []
    for number, (array, type_) in enumerate(zip(part.values(), types.values(), strict=True)):
        values, is_null = np.ma.getdata(array), np.ma.getmaskarray(array)
        if type_ in TIMES:
            unit, is_null = TIMES[type_], is_null | np.isnat(values)
            values = (values.astype(f"M8[{unit}]") - np.datetime64(EPOCH)).astype(f"m8[{unit}]").astype("i8")
        if is_null.any():
            nulls.append((number, is_null))
        rows[f"value{number}"] = values
        rows[f"length{number}"] = _wire(type_).itemsize
    for number, is_null in nulls:
        rows[f"length{number}"][is_null] = -1
    octets = rows.view(np.uint8).reshape(count, rows.dtype.itemsize)
    if not nulls:
        return octets.reshape(-1).data
    keep = np.ones_like(octets, np.bool_)
    for number, is_null in nulls:
        assert rows.dtype.fields is not None
        field = rows.dtype.fields[f"value{number}"]
        keep[is_null, field[1] : field[1] + field[0].itemsize] = False
    return octets[keep].data


def _records(part: Mapping[str, Array]) -> list[tuple[object, ...]]:
    columns = [array.astype("M8[us]") if array.dtype.kind == "M" else array for array in part.values()]
    return list(zip(*(column.tolist() for column in columns), strict=True))
