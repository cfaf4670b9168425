"""A program's records as chunks, taken so that others have their turn meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import cast

from dbpool.bulk.loading.files import SourceFailed
from dbpool.bulk.loading.options import Load
from dbpool.bulk.loading.recordchunk import RecordChunk
from dbpool.bulk.loading.target import Target
from dbpool.core.rowshape import RowMisfit, RowShape, names_in

SLICE_S = 0.001  # of the caller's own work, then others have their turn
MOST_TAKEN = 512  # at once, from records that come quickly


async def chunks(
    source: Iterable[object] | AsyncIterable[object], load: Load, target: Target
) -> AsyncGenerator[RecordChunk, None]:
    """Chunks of records: by name where they have names for their values, else by place.

    Raises:
        SourceFailed: one is no record, has names for which there is no column, or, unless it is a mapping, lacks some.
    """
    taken: list[Sequence[object]] = []
    reader, offset = None, 0
    async for part in _parts(source):
        reader = reader or _Reader(part[0], load, target)
        taken += reader.read(part, offset + len(taken) + 1)
        while len(taken) >= (count := load.cut_rows(offset)):
            yield RecordChunk(offset, taken[:count], reader.columns)
            offset += count
            taken = taken[count:]
    if reader is not None and taken:
        yield RecordChunk(offset, taken, reader.columns)


async def _parts(source: Iterable[object] | AsyncIterable[object]) -> AsyncIterator[list[object]]:
    """A few records at a time, as many as come within a slice of time."""
    clock = time.perf_counter
    if isinstance(source, AsyncIterable):
        part: list[object] = []
        pause_at = clock() + SLICE_S
        async for record in source:
            part.append(record)
            if len(part) >= MOST_TAKEN or clock() > pause_at:
                yield part
                part = []
                await asyncio.sleep(0)
                pause_at = clock() + SLICE_S
        if part:
            yield part
        return
    pause_at = clock() + SLICE_S
    if isinstance(source, (list, tuple)):
        for at in range(0, len(source), MOST_TAKEN):
            yield list(source[at : at + MOST_TAKEN])
            if clock() > pause_at:
                await asyncio.sleep(0)
                pause_at = clock() + SLICE_S
        return
    records, count = iter(source), 1
    while part := list(islice(records, count)):
        yield part
        if clock() > pause_at:
            count = max(count // 2, 1)
            await asyncio.sleep(0)
            pause_at = clock() + SLICE_S
        else:
            count = min(count * 2, MOST_TAKEN)


class _Reader:
    """Reads records into the order of *columns*: those of the load, else of the *first* one; None: of the table."""

    def __init__(self, first: object, load: Load, target: Target) -> None:
        try:
            names = _names_in(first)
        except RowMisfit as error:
            raise SourceFailed(str(error), None, 1) from error
        self.columns = load.columns or names
        self._names = self.columns or target.columns
        self._known = frozenset(self._names)
        self._is_strict = load.columns is None and names is not None
        self._readers: dict[type, Callable[[object], Sequence[object]]] = {}

    def read(self, part: list[object], first: int) -> list[Sequence[object]]:
        """The values of each of *part*, the first of which has that number, from 1."""
        if set(map(type, part)) == {tuple}:
            return cast("list[Sequence[object]]", part)
        found: list[Sequence[object]] = []
        for number, record in enumerate(part, first):
            try:
                read = self._readers.get(type(record)) or self._new_reader(record)
                found.append(read(record))
            except RowMisfit as error:
                raise SourceFailed(str(error), None, number) from error
        return found

    def _new_reader(self, record: object) -> Callable[[object], Sequence[object]]:
        if isinstance(record, Mapping):
            reader: Callable[[object], Sequence[object]] = self._by_key
        elif _names_in(record) is None:
            reader = _as_it_is
        else:
            reader = RowShape(self._names, is_all=self._is_strict).reader_of(record)
        self._readers[type(record)] = reader
        return reader

    def _by_key(self, record: object) -> Sequence[object]:
        """None for a key that is not there."""
        mapping = cast("Mapping[str, object]", record)
        if self._is_strict and (unknown := [key for key in mapping if key not in self._known]):
            raise RowMisfit(
                f"it has {', '.join(map(repr, unknown))}, which the first one had not: name the columns with columns="
            )
        return tuple(map(mapping.get, self._names))


def _as_it_is(record: object) -> Sequence[object]:
    return cast("Sequence[object]", record)


def _names_in(record: object) -> tuple[str, ...] | None:
    """The names that a record has for its values; a sequence of any other kind than tuples and lists has none.

    Raises:
        RowMisfit: it is no record.
    """
    try:
        return names_in(record)
    except RowMisfit:
        if isinstance(record, (str, bytes)) or not hasattr(record, "__getitem__"):
            raise
        return None
