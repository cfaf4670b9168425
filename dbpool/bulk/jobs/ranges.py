"""A range of a job's chunks, as any process may store it with a pool of its own."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from dbpool.bulk.access import Access
from dbpool.bulk.items import source_of
from dbpool.bulk.jobs.filling import Filling
from dbpool.bulk.jobs.jobsettings import settings_of
from dbpool.bulk.jobs.ledger import JobRow, done_of, job_of
from dbpool.bulk.jobs.storing import Stored, Storing
from dbpool.connection import PooledConnection
from dbpool.core.chunks import Span, chunks_in
from dbpool.errors import JobError, UsageError


class _Leases:
    """Chunks take turns with everybody else who uses the pool."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[PooledConnection]:
        async with self._access.lease() as connection:
            yield connection


async def run_range(
    access: Access,
    job_id: int,
    first_chunk: int,
    last_chunk: int,
    items: Iterable[Any] | AsyncIterable[Any],
    *,
    at_once: int = 1,
) -> Stored:
    """Store what is missing of the chunks *first_chunk* to *last_chunk*, both included, counted from 0.

    It is safe to run one range twice, at the same time too: each chunk is stored by whoever comes first. The job's lock
    is not taken; whoever hands the ranges out may have it. ``Job.prepare`` gives the id, ``missing_ranges`` the ranges;
    a last ``Job.run`` compares everything, does what is left and notes that the job is done.

    Args:
        access: of this process's own pool.
        items: those from the first of *first_chunk* on; what is behind the last one of *last_chunk* is not read.
        at_once: connections.
    Returns: how many items of the range were done, skipped because they were done before, put aside.
    Raises, cancelling: as for ``Job.run``, but for JobBusy; JobError if there is no such job.
    """
    if not 0 <= first_chunk <= last_chunk:
        raise UsageError(f"a range of chunks goes from 0 or more up to no less, not {first_chunk} to {last_chunk}")
    within, source = Span(first_chunk, last_chunk), source_of(items)
    try:
        async with access.lease() as connection:
            job = await _job(connection, job_id)
            done = await done_of(connection, job_id, within)
        asked = {**job.settings, "chunk": job.chunk_size, "at_once": at_once}
        settings = settings_of(access, job.name, job.sql, asked)
        target = settings.target(job.id, job.name, job.sql, job.total)
        filling = Filling(target, source, done, Storing(target, _Leases(access)), within=within, trust=False)
        stored = Stored()
        async with aclosing(filling.results(settings.at_once, _go_on)) as results:
            async for each in results:
                stored += each
        return stored + Stored(skipped=filling.skipped)
    finally:
        await source.aclose()


async def missing_ranges(access: Access, job_id: int, *, most: int) -> list[tuple[int, int]]:
    """The ranges of chunks that are not stored, each of at most *most* chunks: first and last, both included.

    Raises:
        JobError: there is no such job, or nobody knows yet how many items it has.
    """
    async with access.lease() as connection:
        job = await _job(connection, job_id)
        if job.total is None:
            raise JobError(
                f"job {job.name!r} has a source without a length: it cannot be cut into ranges", job=job.name
            )
        within = Span(0, chunks_in(job.total, job.chunk_size) - 1)
        done = await done_of(connection, job_id, within)
    return [(span.first, span.last) for span in done.missing(within, most=most)]


async def _job(connection: PooledConnection, job_id: int) -> JobRow:
    job = await job_of(connection, job_id)
    if job is None:
        raise JobError(f"there is no job with the id {job_id} in this database: it was forgotten, or never entered")
    return job


def _go_on() -> None:
    """No reason to stop."""
