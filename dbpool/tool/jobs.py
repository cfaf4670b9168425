"""The commands ``dbpool jobs ...``: what jobs there are, what became of them, their rejects run again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict

from dbpool import DatabasePool, JobError, JobInfo, JobResult, Progress
from dbpool.bulk.files import TextRow
from dbpool.bulk.jobs.jobsettings import CHUNK
from dbpool.tool.feed import Feed
from dbpool.tool.progress import Shown
from dbpool.tool.running import DONE, SOME_FAILED, Stop


async def show_all(dsn: str, *, as_json: bool) -> int:
    """The jobs of a database, a line each."""
    async with DatabasePool(dsn, 1, name="jobs") as db:
        jobs = await db.jobs()
    if as_json:
        sys.stdout.write(json.dumps([asdict(job) for job in jobs], default=str) + "\n")
        return DONE
    for job in jobs:
        sys.stdout.write(f"{_line(job)}\n")
    if not jobs:
        sys.stderr.write("there are no jobs in this database\n")
    return DONE


async def show_one(dsn: str, name: str, *, as_json: bool) -> int:
    """A job with its rejects."""
    async with DatabasePool(dsn, 1, name="jobs") as db:
        job = next((job for job in await db.jobs() if job.name == name), None)
        if job is None:
            raise JobError(f"there is no job {name!r} in this database", job=name)
        rejects = await db.job_rejects(name)
    if as_json:
        found = {**asdict(job), "rejects": [{**asdict(reject), "params": reject.shown} for reject in rejects]}
        sys.stdout.write(json.dumps(found, default=str) + "\n")
        return DONE
    sys.stdout.write(f"{_line(job)}\n  {job.sql}\n")
    for reject in rejects:
        tries = f"{reject.attempts} attempt{'s' if reject.attempts > 1 else ''}"
        sys.stdout.write(f"  item {reject.number}: {reject.shown}: {reject.message} ({tries})\n")
    return DONE


async def forget(dsn: str, name: str) -> int:
    """Remove what is known of a job."""
    async with DatabasePool(dsn, 1, name="jobs") as db:
        await db.forget_job(name)
    return DONE


async def retry_rejects(dsn: str, name: str, connections: int, stop: Stop, *, as_json: bool) -> int:
    """Run a job's rejects again."""
    async with DatabasePool(dsn, connections, name="jobs") as db:
        job = await _known(db, name)
        running = asyncio.ensure_future(db.job(name, job.sql, [], chunk=job.chunk, on_error="collect").retry_rejects())
        stop.cancels(running)
        return _tell(await running, as_json=as_json)


async def run(
    db: DatabasePool,
    name: str,
    sql: str,
    rows: Iterable[TextRow],
    dask: str | None,
    stop: Stop,
    *,
    keep_going: bool,
    as_json: bool,
    chunk: int = CHUNK,
) -> int:
    """Run *sql* for each of *rows* as a job, or go on with it; on a cluster, if *dask* says where."""

    def note(progress: Progress) -> None:
        shown.tell(progress.items, progress.total, f"{progress.per_s:,.0f}/s, {progress.failed:,} put aside")

    with Shown("items") as shown:
        job = db.job(
            name,
            sql,
            Feed(rows),
            on_error="collect" if keep_going else "raise",
            progress=note,
            chunk=chunk,
        )
        running = asyncio.ensure_future(job.run() if dask is None else job.run_on(dask))
        stop.cancels(running)
        return _tell(await running, as_json=as_json)


async def resume(
    dsn: str, name: str, rows: Iterable[TextRow], connections: int, dask: str | None, stop: Stop, *, as_json: bool
) -> int:
    """Go on with a job whose statement is in the ledger."""
    async with DatabasePool(dsn, connections, name="jobs") as db:
        job = await _known(db, name)
        return await run(db, name, job.sql, rows, dask, stop, keep_going=job.collects, as_json=as_json, chunk=job.chunk)


async def _known(db: DatabasePool, name: str) -> JobInfo:
    for job in await db.jobs():
        if job.name == name:
            return job
    raise JobError(f"there is no job {name!r} in this database", job=name)


def _line(job: JobInfo) -> str:
    of = "" if job.total is None else f" of {job.total:,}"
    owner = f", run by {job.owner}" if job.is_alive else ", whose run was killed" if job.state == "running" else ""
    rejects = f", {job.rejects:,} put aside" if job.rejects else ""
    done = f"{job.items:,}{of} items in {job.chunks:,} chunks"
    return f"{job.name}: {job.state}{owner}, {done}{rejects}, {job.updated:%F %T}"


def _tell(result: JobResult, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(asdict(result)) + "\n")
    else:
        figures: list[tuple[int, str]] = [
            (result.done, "stored"),
            (result.skipped, "stored before"),
            (result.rejected, "put aside"),
        ]
        what = ", ".join(f"{number:,} {word}" for number, word in figures if number) or "nothing to do"
        sys.stderr.write(f"job {result.name!r}: {what}, in {result.seconds:.2f} s\n")
    return SOME_FAILED if result.rejected else DONE
