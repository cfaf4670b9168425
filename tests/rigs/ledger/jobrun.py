"""A run of a job in a process of its own, which is killed and started again.

Usage: ``python -m tests.rigs.ledger.jobrun``, with a JSON object on stdin: dsn, number, count. A line on stdout: begun.
"""

from __future__ import annotations

import asyncio
import json
import sys

from dbpool import DatabasePool

CHUNK = 50
SQL = "insert into jobseen (job, n) values ($1, $2)"


async def main() -> None:
    asked = json.loads(sys.stdin.readline())
    number, count = asked["number"], asked["count"]
    async with DatabasePool(asked["dsn"], 3, acquire_timeout=5, query_timeout=5, reset_timeout=1) as db:
        job = db.job(f"job {number}", SQL, [(number, n) for n in range(count)], chunk=CHUNK, at_once=2)
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        await job.run()


if __name__ == "__main__":
    asyncio.run(main())
