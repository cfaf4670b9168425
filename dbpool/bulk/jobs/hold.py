"""A run's hold on its job: nobody else runs it meanwhile, yet it is free again when the run is gone.

Direct connections hold an advisory lock, which ends with their session. Through a pooler a session is not one's own, so
there, as well as while the lock's session is lost, only the lease in the job's row counts, which expires. Neither has
to be perfect: that nothing is stored twice hangs on the rows of the chunks alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from uuid import UUID, uuid4

from dbpool.bulk.access import Access
from dbpool.bulk.joblock import is_locked, try_lock, unlock
from dbpool.bulk.jobs.ledger import JobRow, claim_job, end_claim, job_of, renew_claim
from dbpool.bulk.jobs.owner import this_process
from dbpool.bulk.jobs.trying import can_be_mended
from dbpool.connection import PooledConnection
from dbpool.core.claims import Claim, Seen, claim
from dbpool.errors import AcquireTimeout, JobBusy, JobError, LineFull, PoolDeadlock
from dbpool.faults import is_impatient
from dbpool.finish import finish
from dbpool.lease import Lease

BEAT_S = 5.0  # between two renewals of the lease
POLL_S = 0.05  # between two looks at a job that may be free in a moment
SPARE_S = 1.0  # to wait for another connection, while one's own may become free
END_TRIES = 3
END_TIMEOUT_S = 5.0  # to note the end of a run that failed or was cancelled


class Hold:
    """One run's hold on a job, with the connection that has the lock, which stores chunks too."""

    def __init__(self, access: Access, job: JobRow, *, at_once: int, timeout: float) -> None:
        self._access = access
        self._job = job
        self._at_once = at_once
        self._lasts_s = 4 * BEAT_S + 3 * timeout  # it is renewed between two chunks, each a few messages long
        self._run: UUID = uuid4()
        self._lease: Lease | None = None
        self._connection: PooledConnection | None = None
        self._has_lock = False
        self._in_use = asyncio.Lock()
        self._failure: Exception | None = None
        self._beating: asyncio.Task[None] | None = None

    async def take(self) -> None:
        """Take the job.

        Raises:
            JobBusy: another run has it; at once, unless that may be gone in a moment.
        """
        async with self._own() as connection:
            await self._claim(connection)
        self._beating = asyncio.create_task(self._beat_on())

    def check(self) -> None:
        """Raise JobBusy if another run has taken the job meanwhile."""
        if self._failure is not None:
            raise self._failure

    async def end(self, state: str, total: int | None = None) -> None:
        """Leave the job in *state*, free for others; *total*: its items, where they are known now."""
        try:
            for tries in range(1, END_TRIES + 1):
                try:
                    return await self._note_end(state, total)
                except Exception as error:
                    if tries == END_TRIES or not can_be_mended(error):
                        raise
        finally:
            await self._let_go()

    async def end_quietly(self, state: str) -> None:
        """The same for a run that has something else to tell; where it fails, the lease expires."""
        with suppress(Exception):
            async with asyncio.timeout(END_TIMEOUT_S):
                await self._note_end(state, None)
        await self._let_go()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[PooledConnection]:
        """A connection for one chunk: the one with the lock if that is free, else another one of the pool's.

        So a job goes on though the pool gives it no second one, however many jobs share the pool.
        """
        async with AsyncExitStack() as stack:
            connection = await self._spare(stack)
            if connection is None:
                connection = await stack.enter_async_context(self._own())
            yield connection

    async def _spare(self, stack: AsyncExitStack) -> PooledConnection | None:
        if self._at_once == 1 or not self._in_use.locked():
            return None
        try:
            return await stack.enter_async_context(
                self._access.lease(min(SPARE_S, self._access.settings.acquire_timeout))
            )
        except (AcquireTimeout, LineFull, PoolDeadlock):
            return None

    @asynccontextmanager
    async def _own(self) -> AsyncIterator[PooledConnection]:
        """The connection with the lock, or where it was lost a new one, which may have the lock again."""
        async with self._in_use, AsyncExitStack() as stack:
            stack.push_async_exit(self._drop_if_lost)
            if self._connection is None:
                self._lease = self._access.lease()
                self._connection = await self._lease.__aenter__()
                if self._beating is not None:
                    self._has_lock = await try_lock(self._connection, self._job.name)
                    await self._beat(self._connection)
            yield self._connection

    async def _drop_if_lost(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        has_failed = error is not None and (is_impatient(error) or self._beating is None)  # None: it never had the job
        if has_failed or self._connection is None or is_unfit(self._connection):
            await self._drop(error)

    async def _drop(self, error: BaseException | None = None) -> None:
        lease, connection = self._lease, self._connection
        self._lease = self._connection = None
        self._has_lock = False
        if lease is not None and connection is not None:  # else it was never held
            await lease.__aexit__(None if error is None else type(error), error, None)

    async def _claim(self, connection: PooledConnection) -> None:
        process, clock = this_process(), self._access.leases.loop.time
        began = clock()
        while True:
            self._has_lock = self._has_lock or await try_lock(connection, self._job.name)
            job = await job_of(connection, self._job.id)
            if job is None:
                raise JobError(f"job {self._job.name!r} was forgotten just now", job=self._job.name)
            is_free = self._has_lock or not await is_locked(connection, job.name)
            verdict = claim(seen_of(job, lock_is_free=is_free), clock() - began)
            if verdict is Claim.REFUSE:
                raise busy(job)
            if verdict is Claim.TAKE and await claim_job(
                connection, job, self._run, process, lasts_s=self._lasts_s, has_lock=self._has_lock
            ):
                return
            await asyncio.sleep(POLL_S)

    async def _beat_on(self) -> None:
        while self._failure is None:
            await asyncio.sleep(BEAT_S)
            with suppress(Exception):  # a connection that is lost now is told by whoever stores the next chunk
                async with self._own() as connection:
                    await self._beat(connection)

    async def _beat(self, connection: PooledConnection) -> None:
        job_id = self._job.id
        if not await renew_claim(connection, job_id, self._run, lasts_s=self._lasts_s, has_lock=self._has_lock):
            self._failure = busy(await job_of(connection, job_id) or self._job)

    async def _note_end(self, state: str, total: int | None) -> None:
        async with self._own() as connection:  # so it does not beat now
            await self._stop_beating()
            await end_claim(connection, self._job.id, self._run, state, total)
            if self._has_lock:
                await unlock(connection, self._job.name)

    async def _let_go(self) -> None:
        await self._stop_beating()
        await finish(self._drop())

    async def _stop_beating(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])


def seen_of(job: JobRow, *, lock_is_free: bool) -> Seen:
    """What can be seen of the run that has *job*."""
    process = job.run_process
    return Seen(
        lock_is_free=lock_is_free,
        has_owner=process is not None,
        owner_had_lock=job.run_has_lock,
        is_expired=job.run_is_expired,
        is_dead=process is not None and process.is_dead,
        is_here=process is not None and process.is_here,
    )


def is_unfit(connection: PooledConnection) -> bool:
    """Whether no more chunks can be stored on it; one that is only to be closed when its lease ends still can."""
    is_broken = connection.is_broken and connection.retired_for is None
    return is_broken or bool(connection.doomed_by) or connection.is_closed() or connection.is_in_transaction()


def busy(job: JobRow) -> JobBusy:
    """The error for a job that somebody else has."""
    process = job.run_process
    if process is None:
        who = "by a session that has its lock; pg_locks shows which"
    else:
        who = f"by process {process.pid} on {process.host} (application_name {job.run_application!r})"
    since = f" since {job.run_since:%Y-%m-%d %H:%M:%S %Z}" if job.run_since else ""
    return JobBusy(
        f"job {job.name!r} is run {who}{since}: two runs of one job exclude each other. Wait for that one to end.",
        job=job.name,
        pid=None if process is None else process.pid,
        host=None if process is None else process.host,
        application=job.run_application,
        since=job.run_since,
    )
