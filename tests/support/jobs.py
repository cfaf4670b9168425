"""Jobs under test: items with an effect that shows how often it was had, runs in processes that can be killed.

As a program (``python -m tests.support.jobs``) it is such a run; what it is to do comes as JSON.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dbpool import DatabasePool, Job, JobResult
from tests.support.pools import Witness
from tests.support.proxy import Do, Message, Rule, Way

ROOT = Path(__file__).parents[2]

# An item waits for advisory lock 1 where its number is the one in ``hold``; a second time it would be a second row.
TABLES = """
create table seen (n int not null);
create table hold (at int not null);
create function passes(n int) returns boolean language plpgsql as $$
begin
    if exists (select from hold where at = n) then perform pg_advisory_xact_lock(1); end if;
    return true;
end $$;
"""
SQL = "insert into seen select $1::int where passes($1::int)"
COUNT, CHUNK = 2000, 100


def job_of(db: DatabasePool, count: int = COUNT, at_once: int = 1) -> Job:
    return db.job("count", SQL, range(1, count + 1), chunk=CHUNK, at_once=at_once)


async def entered(job: Job) -> int:
    """Have the job's row without running it; its id."""
    return (await job._entered(None)).id  # noqa: SLF001


async def assert_each_once(witness: Witness, count: int = COUNT) -> None:
    rows = await witness.rows("select count(*), count(distinct n), coalesce(sum(n), 0) from seen")
    assert rows == [(count, count, count * (count + 1) // 2)]


async def resumed(db: DatabasePool, witness: Witness, count: int = COUNT) -> JobResult:
    """Run what is left to its end, and see that it is complete."""
    stored = await witness.value("select coalesce(sum(items), 0) from dbpool_job_chunk")
    result = await job_of(db, count).run()
    await assert_each_once(witness, count)
    assert await witness.value("select state from dbpool_job") == "done"
    assert result.skipped >= stored
    assert result.done + result.skipped == result.items == count
    return result


def at_commit(todo: Do, way: Way, often: int) -> Rule:
    """The first COMMITs, or their answers, are lost with their connections."""
    lost: set[int] = set()
    committing: set[int] = set()

    def rule(message: Message) -> Do:
        session = message.session.number
        if message.says("Q", b"COMMIT") and (session in lost or len(lost) < often):
            if way is Way.TO_SERVER:
                lost.add(session)
                return todo
            committing.add(session)
        elif message.way is Way.TO_CLIENT and session in committing:
            lost.add(session)
            return todo
        return Do.PASS

    return rule


class Run:
    """A run in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def kill(self) -> None:
        """SIGKILL: it cannot do anything about it."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def output(self) -> str:
        out, _ = await self._process.communicate()
        return out.decode()


@asynccontextmanager
async def running(dsn: str, count: int = COUNT, at_once: int = 1) -> AsyncIterator[Run]:
    """Run the job in another process; at the end it is killed if it still runs."""
    asked = json.dumps({"dsn": dsn, "count": count, "at_once": at_once})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.jobs"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdin is not None
    process.stdin.write(asked.encode() + b"\n")
    run = Run(process)
    try:
        yield run
    finally:
        await run.kill()
        process.stdin.close()


async def _main() -> None:
    asked = json.loads(sys.stdin.readline())
    async with DatabasePool(asked["dsn"], 3, server_settings={"application_name": "nightly"}) as db:
        result = await job_of(db, asked["count"], asked["at_once"]).run()
        print(result)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    asyncio.run(_main())
