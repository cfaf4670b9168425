"""A program's records as chunks, taken so that others have their turn meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from itertools import islice
from typing import cast

from dbpool.bulk.loading.files import SourceFailed
from dbpool.bulk.loading.options import Load
from dbpool.bulk.loading.recordchunk import RecordChunk

SLICE_S = 0.001  # of the caller's own work, then others have their turn
MOST_TAKEN = 512  # at once, from records that come quickly


async def chunks(source: Iterable[object] | AsyncIterable[object], load: Load) -> AsyncGenerator[RecordChunk, None]:
    """Chunks of records, tuples or mappings.

    Raises:
        SourceFailed: a record is neither, or a mapping has keys for which there is no column.
    """
    taken: list[Sequence[object]] = []
    columns, offset = load.columns, 0
    async for part in _parts(source):
        if isinstance(part[0], Mapping):
            columns = columns or tuple(cast("Mapping[str, object]", part[0]))
            taken += _in_order(part, columns, offset + len(taken) + 1, is_strict=load.columns is None)
        else:
            taken += _checked(part, offset + len(taken) + 1)
        while len(taken) >= (count := load.cut_rows(offset)):
            yield RecordChunk(offset, taken[:count], columns)
            offset += count
            taken = taken[count:]
    if taken:
        yield RecordChunk(offset, taken, columns)


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


def _in_order(part: list[object], columns: tuple[str, ...], number: int, *, is_strict: bool) -> list[Sequence[object]]:
    """Mappings as tuples, None where one lacks a key; *number* is that of the first."""
    known = frozenset(columns)
    found: list[Sequence[object]] = []
    for record in part:
        if not isinstance(record, Mapping):
            raise SourceFailed(f"record {number + len(found)} is no mapping, as the first one is: {record!r:.100}", "")
        if is_strict and not known.issuperset(record):
            keys = ", ".join(map(repr, set(record) - known))
            raise SourceFailed(
                f"record {number + len(found)} has {keys}, which the first one had not: name the columns with columns=",
                *("", number + len(found)),
            )
        found.append(tuple(map(record.get, columns)))
    return found


def _checked(part: list[object], number: int) -> list[Sequence[object]]:
    if set(map(type, part)) == {tuple}:
        return cast("list[Sequence[object]]", part)
    for index, record in enumerate(part):
        if isinstance(record, (str, bytes, Mapping)) or not hasattr(record, "__getitem__"):
            raise SourceFailed(
                f"record {number + index} is neither a sequence nor, as the first one, a mapping: {record!r:.100}",
                *("", number + index),
            )
    return cast("list[Sequence[object]]", part)
