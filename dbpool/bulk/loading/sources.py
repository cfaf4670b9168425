"""What a load can be made from."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeGuard, runtime_checkable

from dbpool.bulk.loading import arraychunk, arrowchunk, files, records
from dbpool.bulk.loading.chunks import Chunk
from dbpool.bulk.loading.feed import in_thread
from dbpool.bulk.loading.options import AT_ONCE_FOR_RECORDS, USUAL_AT_ONCE, Load
from dbpool.bulk.loading.target import Target
from dbpool.bulk.loading.threads import Threads
from dbpool.errors import StoredPart, UsageError


@runtime_checkable
class ArrowStream(Protocol):
    """A table, frame or reader that gives its columns by the Arrow C stream: pyarrow's, pandas', polars', DuckDB's."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


Source = str | os.PathLike[str] | ArrowStream | Mapping[str, object] | Iterable[object] | AsyncIterable[object]


@dataclass(frozen=True, slots=True)
class Opened:
    """Chunks that are made as they are taken; *total_bytes* of the files that they are from; *resumed* parts of it."""

    chunks: AsyncGenerator[Chunk, None]
    total_bytes: int | None
    resumed: tuple[StoredPart, ...]


async def opened(source: Source, load: Load, target: Target, threads: Threads) -> Opened:
    """See what *source* is.

    Raises:
        UsageError: nothing that can be loaded, files that are not there, or parts to be resumed that are not of it.
        ImportError: it takes a package that is not installed.
    """
    if isinstance(source, (str, os.PathLike)) or _are_paths(source):
        paths = await threads.call(lambda: files.find(source))
        sizes = await threads.call(lambda: [path.stat().st_size for path in paths])
        resumed = await threads.call(lambda: files.parts_of(paths, load.resume))
        reading = in_thread(threads, lambda is_stopped: files.Reader(load, is_stopped).chunks(paths))
        return Opened(reading, sum(sizes), resumed)
    if of_file := next((part for part in load.resume if part.file is not None), None):
        raise UsageError(f"resume= has a part of the file {of_file.file!r}, and the source has no files")
    if isinstance(source, ArrowStream):
        frame = arrowchunk.Frame.of(source, load, target)
        return Opened(in_thread(threads, lambda _: frame.chunks()), None, load.resume)
    if arrays := _arrays(source):
        columns = arraychunk.Arrays.of(arrays, load, target)
        return Opened(in_thread(threads, lambda _: columns.chunks()), columns.size, load.resume)
    if _are_records(source):
        return Opened(records.chunks(source, load, target), None, load.resume)
    raise UsageError(
        f"cannot load from {type(source).__name__}: pass a path, a pattern, a list of paths, an iterable of records, "
        f"a frame or a dict of numpy arrays"
    )


def usual_at_once(source: Source) -> int:
    """How many connections are worth it."""
    is_cheap = isinstance(source, (str, os.PathLike, ArrowStream)) or _are_paths(source) or bool(_arrays(source))
    return USUAL_AT_ONCE if is_cheap else AT_ONCE_FOR_RECORDS


def _are_records(source: object) -> TypeGuard[AsyncIterable[object] | Iterable[object]]:
    return isinstance(source, (AsyncIterable, Iterable)) and not isinstance(source, (bytes, bytearray, Mapping))


def _are_paths(source: object) -> TypeGuard[Sequence[str | os.PathLike[str]]]:
    return (
        isinstance(source, Sequence)
        and not isinstance(source, (bytes, bytearray))
        and len(source) > 0
        and all(isinstance(each, (str, os.PathLike)) for each in source)
    )


def _arrays(source: object) -> dict[str, object] | None:
    """The columns, if *source* is a mapping of names to numpy arrays, or a sequence of such pairs."""
    numpy = sys.modules.get("numpy")  # who has an array has imported it
    if numpy is None:
        return None
    if isinstance(source, Mapping):
        found = dict(source)
    elif isinstance(source, Sequence) and all(isinstance(each, tuple) and len(each) == 2 for each in source):
        if not all(isinstance(each[0], str) for each in source):
            return None
        found = dict(source)
    else:
        return None
    return found if found and all(isinstance(array, numpy.ndarray) for array in found.values()) else None
