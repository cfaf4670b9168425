"""Bulk work that can be killed at any moment, then goes on where it was: each item has its effect exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from dbpool.bulk.access import Access
from dbpool.bulk.files import TextRows
from dbpool.bulk.guard import taking_text
from dbpool.bulk.items import Source, source_of
from dbpool.bulk.jobs.filling import Filling, Storer
from dbpool.bulk.jobs.hold import Hold
from dbpool.bulk.jobs.jobsettings import JobOptions, settings_of
from dbpool.bulk.jobs.ledger import JobRow, add_job, done_of, hash_of
from dbpool.bulk.jobs.retrying import retry_rejects
from dbpool.bulk.jobs.storing import Stored, Storing, Target
from dbpool.bulk.jobs.textsource import TextSource
from dbpool.bulk.map import Reporting
from dbpool.core.jsontext import Kind
from dbpool.errors import JobChanged
from dbpool.finish import finish
from dbpool.observing import Asked

if TYPE_CHECKING:
    from dbpool.cluster.connect import Connect

MakeStorer: TypeAlias = Callable[[JobRow, Target, Hold], AbstractAsyncContextManager[Storer]]


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a run came to.

    Args:
        state: ``"done"``; of ``retry_rejects``, the one that the job is in.
        items: how many it met; each is one of the next three.
        done: stored by this run.
        skipped: stored, or put aside, by an earlier one.
        rejected: put aside by this run, see ``db.job_rejects``.
    """

    name: str
    state: str
    items: int
    done: int
    skipped: int
    rejected: int
    seconds: float


class Job:
    """What ``db.job`` returns."""

    def __init__(
        self,
        access: Access,
        name: str,
        sql: str,
        items: Iterable[Any] | AsyncIterable[Any],
        **options: Unpack[JobOptions],
    ) -> None:
        self.name = name
        self._access = access
        self._sql = sql
        self._items = items
        self._settings = settings_of(access, name, sql, options, from_text=isinstance(items, TextRows))
        source_of(items)  # refused now rather than later

    async def run(self) -> JobResult:
        """Store every chunk that is not stored yet.

        Raises:
            JobBusy: another run has this job.
            JobChanged: it was begun with another statement, chunk size or other items. Nothing that differs is stored.
            JobTablesMissing: run ``dbpool migrate up``.
            asyncpg.PostgresError: of the first item that failed, with its number as a note, unless they are collected.
            ConnectionLost, TransactionFailed and the like: when the last of *retry* tries of a chunk met it.
        Cancelling: reads no more, lets nothing half-stored, keeps what is stored; the job's state is ``stopped``.
        """
        return await self._run(self._here, self._settings.at_once)

    async def run_on(
        self, cluster: object, *, connections: int | None = None, connect: Connect | None = None, chunks: int = 20
    ) -> JobResult:
        """The same on the workers of a Dask cluster, which gets units of chunks in a row; needs ``dbpool[dask]``.

        This process reads the items, compares the digests of those that are done, and holds the job. Each worker
        process opens a pool when its first unit comes. Nothing is stored twice, whatever the engine does again, as
        each chunk has its row in the ledger; a worker that is lost costs only time. Worker processes need the same
        dbpool; where its address has a password, the cluster must be on this machine or use TLS.

        Args:
            cluster: a ``distributed.Client``, or its scheduler's address.
            connections: that this process and all workers may have together for it, >= 2: one is this process's, the
                others are divided. None: as many as the pool, or its lane, may have.
            connect: makes a worker's pool, given how many connections it may have and the application_name that they
                must have: by that the sessions of lost workers are known, and counted until they have ended. None: a
                pool with the settings of this one.
            chunks: in a unit, at the most.
        Raises: as ``run``; JobError: no scheduler, no worker for 60 s, a worker without this version of dbpool, items
            with which three workers were lost.
        Cancelling: the same; what workers have under way is cut off.
        """
        from dbpool.cluster.run import Spreading

        return await self._run(Spreading(cluster, self._access, connections, connect, chunks), 1)

    async def retry_rejects(self) -> JobResult:
        """Run the items that were put aside once more, in their order; those that fail again stay.

        An item is run again, and is no reject any more, in one transaction. Their parameters come from the ledger; one
        whose type JSON text cannot bring back stays as it is.

        Raises, cancelling: as for ``run``.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        job = await self._entered(None)
        hold = self._hold(job, 1)
        await hold.take()
        try:
            sql = (await self._taking_text(hold))[0] if job.settings.get("from_text") else self._sql
            stored = await retry_rejects(self._target(job, sql), hold, hold.check)
        finally:
            await finish(hold.end_quietly(job.state))
        items = stored.done + stored.skipped + stored.rejected
        return JobResult(self.name, job.state, items, stored.done, stored.skipped, stored.rejected, clock() - began)

    async def _run(self, storer: MakeStorer, at_once: int) -> JobResult:
        """Run by what *storer* makes, this process itself on *at_once* connections."""
        with self._access.operation(Asked.JOB, self._sql) as operation:
            result = await self._run_all(storer, at_once)
            operation.size = result.done
            return result

    async def _run_all(self, storer: MakeStorer, at_once: int) -> JobResult:
        clock = asyncio.get_running_loop().time
        began = clock()
        source: Source[Any] = source_of(self._items)
        try:
            job = await self._entered(source.total)
            hold = self._hold(job, at_once)
            await hold.take()
            try:
                sql = self._sql
                if self._settings.from_text:
                    sql, kinds = await self._taking_text(hold)
                    source = TextSource(source, kinds)
                target = self._target(job, sql)
                async with storer(job, target, hold) as made:
                    stored = await self._fill(job, target, hold, source, made)
            except BaseException as error:
                await finish(hold.end_quietly(_state_after(error, job)))
                raise
            items = stored.done + stored.skipped + stored.rejected
            await finish(hold.end("done", items))
        finally:
            await source.aclose()
        return JobResult(self.name, "done", items, stored.done, stored.skipped, stored.rejected, clock() - began)

    @asynccontextmanager
    async def _here(self, _: JobRow, target: Target, hold: Hold) -> AsyncIterator[Storing]:
        yield Storing(target, hold, self._settings.at_once)

    async def _fill(self, job: JobRow, target: Target, hold: Hold, source: Source[Any], storer: Storer) -> Stored:
        async with hold.connection() as connection:
            done = await done_of(connection, job.id)
        filling = Filling(target, source, done, trust=self._settings.trust)
        progress = Reporting(self._settings.progress, source)
        told, stored = 0, Stored()
        async with aclosing(filling.results(storer, hold.check)) as results:
            async for each in results:
                stored += each
                progress.add(each.done + each.skipped + each.rejected + filling.skipped - told, each.rejected)
                told = filling.skipped
        progress.add(filling.skipped - told, 0)
        progress.end()
        return stored + Stored(skipped=filling.skipped)

    async def _entered(self, total: int | None) -> JobRow:
        """The job's row, which fits what was asked for."""
        settings = self._settings
        async with self._access.lease() as connection:
            job = await add_job(connection, self.name, self._sql, settings.chunk, total, settings.kept())
        if job.sql_hash != hash_of(self._sql):
            raise self._changed(f"another statement: {job.sql!r}")
        if job.chunk_size != settings.chunk:
            raise self._changed(f"chunk={job.chunk_size}, not {settings.chunk}")
        if total is not None and job.total is not None and total != job.total:
            raise self._changed(f"{job.total} items, not {total}")
        return job

    def _changed(self, what: str) -> JobChanged:
        return JobChanged(
            f"job {self.name!r} was begun with {what}. Go on as it was begun, give this work another name, or "
            f"db.forget_job({self.name!r}) first.",
            job=self.name,
        )

    def _hold(self, job: JobRow, at_once: int) -> Hold:
        return Hold(self._access, job, at_once=at_once, timeout=self._settings.timeout)

    def _target(self, job: JobRow, sql: str) -> Target:
        return self._settings.target(job.id, self.name, sql, job.total)

    async def _taking_text(self, hold: Hold) -> tuple[str, Sequence[Kind]]:
        """The statement for values that are text, and what reads each of them."""
        async with hold.connection() as connection:
            return await taking_text(connection, self._sql)


def _state_after(error: BaseException, job: JobRow) -> str:
    """The state of *job* when a run of it has ended with *error*."""
    if isinstance(error, JobChanged) and job.state == "done":
        return job.state
    return "stopped" if isinstance(error, asyncio.CancelledError) else "failed"
