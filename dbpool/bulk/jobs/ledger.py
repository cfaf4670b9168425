"""The tables that jobs are kept in: what is asked of them, what is written to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from dbpool.bulk.jobs.owner import Process
from dbpool.connection import PooledConnection, PostgresError, Record, Want
from dbpool.core.chunks import Done, DoneSpan
from dbpool.errors import JobError, JobTablesMissing
from dbpool.faults import told_as_ours

UNDEFINED_TABLE, FOREIGN_KEY_VIOLATION = "42P01", "23503"

_ADD = """
INSERT INTO dbpool_job (name, sql, sql_hash, chunk_size, total, settings)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb) ON CONFLICT (name) DO NOTHING
"""
_JOB = """
SELECT id, name, sql, sql_hash, chunk_size, total, settings::text AS settings, state, created_at, updated_at, run,
       run_pid, run_host, run_process, run_application, run_has_lock, run_started_at, run_expires_at < now() AS expired
FROM dbpool_job
"""
# Islands: in a row of chunks, number and place differ by the same.
_DONE = """
SELECT min(chunk) AS first, max(chunk) AS last, sum(items)::bigint AS items,
       string_agg(digest, ''::bytea ORDER BY chunk) AS digests
FROM (SELECT chunk, items, digest, chunk - row_number() OVER (ORDER BY chunk) AS island
      FROM dbpool_job_chunk WHERE job = $1) c
GROUP BY island
"""
_CLAIM = """
UPDATE dbpool_job SET run = $2, run_pid = $3, run_host = $4, run_process = $5, run_has_lock = $6,
    run_application = current_setting('application_name'), run_started_at = now(), updated_at = now(),
    run_expires_at = now() + make_interval(secs => $7), state = $8
WHERE id = $1 AND run IS NOT DISTINCT FROM $9
"""
_RENEW = """
UPDATE dbpool_job SET updated_at = now(), run_expires_at = now() + make_interval(secs => $3), run_has_lock = $4
WHERE id = $1 AND run = $2
"""
_END = """
UPDATE dbpool_job SET state = $3, total = coalesce($4, total), updated_at = now(), run = NULL, run_has_lock = NULL,
    run_pid = NULL, run_host = NULL, run_process = NULL, run_application = NULL, run_started_at = NULL,
    run_expires_at = NULL
WHERE id = $1 AND run = $2
"""
_DIGEST = "SELECT digest FROM dbpool_job_chunk WHERE job = $1 AND chunk = $2"
_REJECT = """
INSERT INTO dbpool_job_reject (job, ord, params, sqlstate, message, attempts)
SELECT $1, ord, params, sqlstate, message, attempts
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::int[]) AS r(ord, params, sqlstate, message, attempts)
"""
_REJECTS = """
SELECT ord, params, sqlstate, message, attempts, rejected_at FROM dbpool_job_reject
WHERE job = $1 AND ord > $2 ORDER BY ord LIMIT $3
"""
# Those that another pass has taken meanwhile, or tried again, are not given.
_TAKE_REJECTS = """
DELETE FROM dbpool_job_reject r USING unnest($2::bigint[], $3::int[]) AS t(ord, attempts)
WHERE r.job = $1 AND r.ord = t.ord AND r.attempts = t.attempts RETURNING r.ord
"""
_SESSIONS = """
SELECT application_name, count(*) FROM pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, $1) GROUP BY 1
"""
_LEFT = "SELECT count(*) FROM dbpool_job_reject WHERE job = $1 AND ord = ANY ($2::bigint[])"
_COUNTS = """
SELECT j.id, coalesce(c.chunks, 0) AS chunks, coalesce(c.items, 0)::bigint AS items, coalesce(r.rejects, 0) AS rejects
FROM dbpool_job j
LEFT JOIN (SELECT job, count(*) AS chunks, sum(items) AS items FROM dbpool_job_chunk GROUP BY job) c ON c.job = j.id
LEFT JOIN (SELECT job, count(*) AS rejects FROM dbpool_job_reject GROUP BY job) r ON r.job = j.id
"""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job, as its row has it; *run* and what follows are of the run that has it, if any."""

    id: int
    name: str
    sql: str
    sql_hash: bytes
    chunk_size: int
    total: int | None
    settings: Mapping[str, Any]
    state: str
    created_at: datetime
    updated_at: datetime
    run: UUID | None
    run_application: str | None
    run_has_lock: bool
    run_since: datetime | None
    run_is_expired: bool
    run_process: Process | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that was put aside, with what became of it; *params* as JSON, *ord* its number in the source, from 1."""

    ord: int
    params: str
    sqlstate: str | None
    message: str
    attempts: int


@contextmanager
def asked(connection: PooledConnection) -> Iterator[None]:
    """Tell what goes wrong outside of a chunk's transaction as this package does."""
    with job_tables(), told_as_ours(connection, connection.held_by, connection.settings.query_timeout):
        yield


@contextmanager
def job_tables() -> Iterator[None]:
    """Say what to do where the tables are missing."""
    try:
        yield
    except PostgresError as error:
        if error.sqlstate != UNDEFINED_TABLE:
            raise
        raise JobTablesMissing(
            "the tables that jobs are kept in (dbpool_job, dbpool_job_chunk, dbpool_job_reject) are not in this "
            "database, or not in the search_path: run dbpool migrate up"
        ) from error


def hash_of(sql: str) -> bytes:
    """What a statement is known by."""
    return sha256(sql.encode()).digest()


async def add_job(
    connection: PooledConnection, name: str, sql: str, chunk_size: int, total: int | None, settings: Mapping[str, Any]
) -> JobRow:
    """The row of a job; made, if there is none."""
    with asked(connection):
        await connection.execute(_ADD, name, sql, hash_of(sql), chunk_size, total, json.dumps(settings))
    found = await job_called(connection, name)
    return found or await add_job(connection, name, sql, chunk_size, total, settings)  # forgotten in between


async def job_called(connection: PooledConnection, name: str) -> JobRow | None:
    """The job with this name, if there is one."""
    with asked(connection):
        row = await connection.fetchrow(f"{_JOB} WHERE name = $1", name)
    return None if row is None else _job(row)


async def job_of(connection: PooledConnection, job_id: int) -> JobRow | None:
    """The job with this id, if there is one."""
    with asked(connection):
        row = await connection.fetchrow(f"{_JOB} WHERE id = $1", job_id)
    return None if row is None else _job(row)


def _job(row: Record) -> JobRow:
    pid, settings = row["run_pid"], row["settings"]
    return JobRow(
        **{
            name: row[name]
            for name in ("id", "name", "sql", "sql_hash", "chunk_size", "total", "state", "created_at", "updated_at")
        },
        settings=json.loads(settings),
        run=row["run"],
        run_application=row["run_application"],
        run_has_lock=bool(row["run_has_lock"]),
        run_since=row["run_started_at"],
        run_is_expired=bool(row["expired"]),
        run_process=None if pid is None else Process(pid, row["run_host"], row["run_process"]),
    )


async def all_jobs(connection: PooledConnection) -> list[tuple[JobRow, Record]]:
    """Every job, by name, with ``chunks``, ``items`` and ``rejects``; 0.1 s for 200,000 chunks."""
    with asked(connection):
        rows = await connection.fetch(f"{_JOB} ORDER BY name")
        counts = {row["id"]: row for row in await connection.fetch(_COUNTS)}
    return [(_job(row), counts[row["id"]]) for row in rows if row["id"] in counts]


async def forget_job(connection: PooledConnection, job: JobRow) -> bool:
    """Remove a job with its chunks and rejects, unless it has changed hands since its row was read.

    A chunk that is being stored is waited for, and goes with it.
    """
    with asked(connection):
        status = await connection.execute(
            "DELETE FROM dbpool_job WHERE id = $1 AND run IS NOT DISTINCT FROM $2", job.id, job.run
        )
    return status == "DELETE 1"


async def done_of(connection: PooledConnection, job_id: int) -> Done:
    """The chunks that are done: 200,000 of them in about 0.2 s."""
    with asked(connection):
        rows = await connection.fetch(_DONE, job_id)
    return Done(DoneSpan(row["first"], row["last"], row["items"], row["digests"]) for row in rows)


async def claim_job(
    connection: PooledConnection, job: JobRow, run: UUID, process: Process, *, lasts_s: float, has_lock: bool
) -> bool:
    """Name *run* as the one that has *job*, unless the job has changed hands since its row was read."""
    values = (job.id, run, process.pid, process.host, process.mark, has_lock, lasts_s, "running", job.run)
    with asked(connection):
        return await connection.execute(_CLAIM, *values) == "UPDATE 1"


async def renew_claim(connection: PooledConnection, job_id: int, run: UUID, *, lasts_s: float, has_lock: bool) -> bool:
    """Say that *run* is still there; False if the job is not its own any more."""
    with asked(connection):
        return await connection.execute(_RENEW, job_id, run, lasts_s, has_lock) == "UPDATE 1"


async def end_claim(connection: PooledConnection, job_id: int, run: UUID, state: str, total: int | None) -> None:
    """Leave the job in *state*; *total*: its items, where they are known now."""
    with asked(connection):
        await connection.execute(_END, job_id, run, state, total)


async def enter_chunks(
    connection: PooledConnection, job_id: int, chunks: Sequence[tuple[int, int, bytes]], *, timeout: float
) -> int:
    """Begin a transaction with the rows of *chunks* (number, items, digest); how many were not stored already.

    It waits for whoever has entered one of them and not yet committed. So of two transactions with one chunk one
    stores it, and a run whose COMMIT was not answered learns here what became of it.

    Raises:
        JobError: the job was forgotten.
    """
    rows = ", ".join(
        f"({job_id:d}, {number:d}, {items:d}, decode('{digest.hex()}', 'hex'))" for number, items, digest in chunks
    )
    enter = f"INSERT INTO dbpool_job_chunk (job, chunk, items, digest) VALUES {rows} ON CONFLICT DO NOTHING"
    with job_tables():
        try:
            status: str = await connection.run(f"BEGIN; {enter}", (), Want.STATUS, timeout)
        except PostgresError as error:
            if error.sqlstate != FOREIGN_KEY_VIOLATION:
                raise
            raise JobError("the job was forgotten while it ran: nothing more of it is stored") from error
    return int(status.removeprefix("INSERT 0 "))


async def sessions_called(connection: PooledConnection, prefix: str) -> list[tuple[str, int]]:
    """The application names in this database that begin with *prefix*, and how many sessions have each."""
    with asked(connection):
        return [(row[0], row[1]) for row in await connection.fetch(_SESSIONS, prefix)]


async def digest_of_chunk(connection: PooledConnection, job_id: int, chunk: int) -> bytes | None:
    """As it was stored."""
    digest: bytes | None = await connection.fetchval(_DIGEST, job_id, chunk)
    return digest


async def insert_rejects(connection: PooledConnection, job_id: int, rejects: Sequence[Rejected]) -> None:
    """Put items aside."""
    columns = zip(
        *((each.ord, each.params, each.sqlstate, each.message, each.attempts) for each in rejects), strict=True
    )
    await connection.execute(_REJECT, job_id, *map(list, columns))


async def rejects_of(connection: PooledConnection, job_id: int, after: int, most: int) -> list[Record]:
    """The first rejects behind item number *after*."""
    with asked(connection):
        return await connection.fetch(_REJECTS, job_id, after, most)


async def take_rejects(connection: PooledConnection, job_id: int, rejects: Sequence[Rejected]) -> set[int]:
    """Remove these, as far as they are there as they were read; the numbers of those that were."""
    rows = await connection.fetch(
        _TAKE_REJECTS, job_id, [each.ord for each in rejects], [each.attempts for each in rejects]
    )
    return {row["ord"] for row in rows}


async def rejects_among(connection: PooledConnection, job_id: int, numbers: Sequence[int]) -> int:
    """How many of the items with these numbers are put aside."""
    count: int = await connection.fetchval(_LEFT, job_id, numbers)
    return count
