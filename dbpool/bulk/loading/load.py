"""Rows into a table, through COPY, from files or from a program."""

from __future__ import annotations

import asyncio
from typing import Unpack

from dbpool.bulk.access import Access
from dbpool.bulk.loading.chunks import Chunk
from dbpool.bulk.loading.feed import Feed
from dbpool.bulk.loading.files import SourceFailed
from dbpool.bulk.loading.options import Load, LoadOptions, checked
from dbpool.bulk.loading.rejects import RejectFile
from dbpool.bulk.loading.results import Loaded
from dbpool.bulk.loading.sources import Source, opened, usual_at_once
from dbpool.bulk.loading.storing import ChunkFailed, Store
from dbpool.bulk.loading.tally import Tally
from dbpool.bulk.loading.target import Target, describe, parse_table
from dbpool.bulk.loading.threads import Threads
from dbpool.errors import ConnectionLost, LoadFailed, QueryTimeout
from dbpool.faults import one_line, told_as_ours
from dbpool.observing import Asked


async def load(access: Access, table: str, source: Source, **options: Unpack[LoadOptions]) -> Loaded:
    """See ``Lane.load``."""
    with access.operation(Asked.LOAD, table=table) as operation:
        loaded = await _load(access, table, source, options)
        operation.size = loaded.rows
        return loaded


async def _load(access: Access, table: str, source: Source, options: LoadOptions) -> Loaded:
    asked = checked(options, most=access.most, usual_at_once=usual_at_once(source))
    parse_table(table)
    try:
        async with access.lease() as connection:
            with told_as_ours(connection, connection.held_by, access.settings.query_timeout):
                target = await describe(connection, table, access.settings.query_timeout)
    except (ConnectionLost, QueryTimeout) as error:
        raise LoadFailed(
            f"the load into {table} could not begin: {one_line(error)}. Nothing more of it is stored.",
            rows_stored=sum(part.rows for part in asked.resume),
            stored=asked.resume,
        ) from error
    with Threads(2) as threads:  # one reads, one writes rejects
        given = await opened(source, asked, target, threads)
        feed = Feed(given.chunks)
        try:
            tally = Tally(given.resumed, given.total_bytes, asked.progress, asyncio.get_running_loop().time)
            return await _with_rejects(access, target, asked, tally, threads, feed)
        finally:
            await feed.close()


async def _with_rejects(
    access: Access, target: Target, asked: Load, tally: Tally, threads: Threads, feed: Feed[Chunk]
) -> Loaded:
    path, file = asked.reject_file, None
    if path is not None:
        file = await threads.call(lambda: RejectFile(path))
    try:
        await _run(Store(access, target, asked, tally, threads, file, asyncio.Lock()), feed)
    except asyncio.CancelledError as error:
        error.add_note(f"the load into {target.sql} was cancelled: {_stored(tally)}")
        raise
    except Exception as error:
        raise _failed(error, target, tally) from (error.__cause__ if isinstance(error, ChunkFailed) else error)
    finally:
        moved = await threads.call(file.close) if file is not None else None
    tally.tell()
    return tally.loaded(moved)


async def _run(store: Store, feed: Feed[Chunk]) -> None:
    if store.load.atomic:
        await store.store_all(feed.next)
        return

    async def work() -> None:
        while (chunk := await feed.next()) is not None:
            if not store.tally.is_stored(chunk):
                await store.store(chunk)

    try:
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(work()) for _ in range(store.load.at_once)]
        for worker in workers:
            worker.result()  # a group says nothing of one that ended cancelled, as a source may end
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors.exceptions[0].__cause__


def _failed(error: Exception, target: Target, tally: Tally) -> LoadFailed:
    file = line = None
    what = one_line(error)
    if isinstance(error, (ChunkFailed, SourceFailed)):
        file, line, what = error.file, error.line, str(error)
    place = "" if line is None else f" at {'row' if file is None else f'{file}, line'} {line:,}"
    doubt = f" {len(tally.doubtful)} more may be: see error.doubtful." if tally.doubtful else ""
    return LoadFailed(
        f"the load into {target.sql} stopped{place}: {what}. {_stored(tally)}.{doubt}",
        rows_stored=tally.rows,
        stored=tuple(tally.stored),
        doubtful=tuple(tally.doubtful),
        file=file,
        line=line,
    )


def _stored(tally: Tally) -> str:
    if not tally.stored:
        return "Nothing of it is stored"
    return (
        f"{tally.rows:,} rows of it in {len(tally.stored)} parts are stored: load(..., resume=error.stored) goes on "
        f"with the rest"
    )
