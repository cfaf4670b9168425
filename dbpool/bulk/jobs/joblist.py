"""The jobs of a database, as anybody may look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dbpool.bulk.access import Access
from dbpool.bulk.joblock import locked
from dbpool.bulk.jobs.hold import busy, seen_of
from dbpool.bulk.jobs.ledger import all_jobs, forget_job, job_called, rejects_of
from dbpool.core.claims import is_alive, lock_key
from dbpool.core.params import Unreadable, from_json
from dbpool.errors import JobError

AT_A_TIME = 1000


@dataclass(frozen=True, slots=True)
class JobInfo:
    """A job as it stands.

    Args:
        state: ``new``, ``running``, ``stopped`` (cancelled), ``failed`` or ``done``.
        chunks: how many are stored.
        items: how many are in them, those that were put aside included.
        rejects: how many are put aside now.
        total: how many items there are in all; None where nobody knows yet.
        is_alive: a run has it now; where that is False and the state ``running``, its run was killed.
        owner: that run: its process, host and application_name.
        sql: the statement.
        chunk: items in a transaction.
        collects: items whose data the server refuses are put aside.
    """

    name: str
    state: str
    chunks: int
    items: int
    rejects: int
    total: int | None
    started: datetime
    updated: datetime
    is_alive: bool
    owner: str
    sql: str
    chunk: int
    collects: bool


@dataclass(frozen=True, slots=True)
class JobReject:
    """An item that was put aside.

    Args:
        number: which one of the source's it is, from 1.
        params: its values; None if they are of a type that cannot be kept.
        shown: the same as JSON text.
    """

    number: int
    params: Sequence[Any] | None
    shown: str
    sqlstate: str | None
    message: str
    attempts: int
    rejected: datetime


async def jobs_in(access: Access) -> list[JobInfo]:
    """What ``Lane.jobs`` returns."""
    async with access.lease() as connection:
        rows = await all_jobs(connection)
        keys = await locked(connection)
    found = []
    for job, counts in rows:
        process = job.run_process
        info = JobInfo(
            name=job.name,
            state=job.state,
            chunks=counts["chunks"],
            items=counts["items"],
            rejects=counts["rejects"],
            total=job.total,
            started=job.created_at,
            updated=job.updated_at,
            is_alive=is_alive(seen_of(job, lock_is_free=lock_key(job.name) not in keys)),
            owner="" if process is None else f"{process.pid} on {process.host} ({job.run_application})",
            sql=job.sql,
            chunk=job.chunk_size,
            collects=job.settings.get("on_error") == "collect",
        )
        found.append(info)
    return found


async def rejects_in(access: Access, name: str) -> list[JobReject]:
    """What ``Lane.job_rejects`` returns."""
    found: list[JobReject] = []
    async with access.lease() as connection:
        job = await job_called(connection, name)
        if job is None:
            raise _unknown(name)
        while rows := await rejects_of(connection, job.id, found[-1].number if found else 0, AT_A_TIME):
            found += [
                JobReject(
                    number=row["ord"],
                    params=_values(row["params"]),
                    shown=row["params"],
                    sqlstate=row["sqlstate"],
                    message=row["message"],
                    attempts=row["attempts"],
                    rejected=row["rejected_at"],
                )
                for row in rows
            ]
    return found


async def forget_in(access: Access, name: str) -> None:
    """What ``Lane.forget_job`` does."""
    async with access.lease() as connection:
        while (job := await job_called(connection, name)) is not None:
            if is_alive(seen_of(job, lock_is_free=lock_key(name) not in await locked(connection))):
                raise busy(job)
            if await forget_job(connection, job):
                return
    raise _unknown(name)


def _unknown(name: str) -> JobError:
    return JobError(f"there is no job {name!r} in this database; db.jobs() lists those that are", job=name)


def _values(params: str) -> Sequence[Any] | None:
    try:
        return from_json(params)
    except Unreadable:
        return None
