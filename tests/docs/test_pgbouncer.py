"""docs/guides/pgbouncer.md: what it says of PgBouncer's transaction mode is so, with an old one and a new one."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from dbpool import DatabasePool, migrate
from tests.docs.guide import ROOT, Program, printed_by, programs_of
from tests.docs.pgbouncertable import CHECKS, Ground, becomes
from tests.support.databases import Database
from tests.support.pgbouncer import OLD_PROGRAM, PROGRAM, PROGRAMS, pgbouncer
from tests.support.server import Server

TEXT = (ROOT / "docs" / "guides" / "pgbouncer.md").read_text("utf-8")
GUIDE = programs_of(TEXT)

ROWS = re.findall(r"^\| (.+?) \| (works|refused|parsed anew) \| (works|refused|parsed anew) \|$", TEXT, re.MULTILINE)
PREPARED = "statements that stay prepared for the next call"

ASKS = """
import asyncio, collections, sys
from dbpool import DatabasePool

async def main(dsn, own, told):
    seen = collections.Counter()
    async with DatabasePool(dsn, 4, pooler=told or None) as db:
        for _ in range(30):
            asked = (db.fetchval(f"select $1::int + {own}", n) for n in range(8))
            for n, answer in enumerate(await asyncio.gather(*asked, return_exceptions=True)):
                seen["error" if isinstance(answer, Exception) else "right" if answer == n + own else "wrong"] += 1
    print(*(f"{what}={seen[what]}" for what in ("right", "wrong", "error")))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
"""


@pytest.mark.parametrize("pooler", PROGRAMS)
@pytest.mark.parametrize("program", GUIDE, ids=str)
async def test_a_program_prints_what_the_guide_shows(
    program: Program, pooler: str, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIRECT_URL", server.dsn())
    async with pgbouncer(server.dsn(), max_client_conn=50, program=pooler) as dsn:
        assert await asyncio.to_thread(printed_by, program, tmp_path, dsn) == program.shown


async def answers_of_two_processes(dsn: str, told: str) -> Counter[str]:
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ASKS, dsn, str(own), told), stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        for own in (1000, 2000)
    ]
    seen: Counter[str] = Counter()
    for process in processes:
        out, _ = await process.communicate()
        seen.update({what: int(number) for what, number in re.findall(r"(\w+)=(\d+)", out.decode())})
    return seen


@pytest.mark.parametrize("pooler", PROGRAMS)
async def test_two_processes_are_answered_right(pooler: str, server: Server) -> None:
    async with pgbouncer(server.dsn(), max_client_conn=50, program=pooler, pool_size=2) as dsn:
        assert await answers_of_two_processes(dsn, "") == {"right": 480, "wrong": 0, "error": 0}


async def test_two_processes_are_not_with_an_old_one_that_is_said_to_be_none(server: Server) -> None:
    async with pgbouncer(server.dsn(), max_client_conn=50, program=OLD_PROGRAM, pool_size=2) as dsn:
        seen = await answers_of_two_processes(dsn, "none")
    assert seen["wrong"] + seen["error"] > 0  # which of them, is a matter of time


@pytest.mark.parametrize("pooler", PROGRAMS)
async def test_each_row_of_the_table_is_so(pooler: str, database: Database, tmp_path: Path) -> None:
    await migrate.upgrade(database.dsn)
    async with (
        pgbouncer(database.dsn, max_client_conn=50, program=pooler) as dsn,
        DatabasePool(dsn, 4) as db,
    ):
        await db.execute("create table of_pooler (id int primary key)")
        ground = Ground(db, dsn, tmp_path)
        for row, new, old in ROWS:
            if row != PREPARED:
                assert (row, await becomes(row, ground)) == (row, new if pooler == PROGRAM else old)


@pytest.mark.parametrize("pooler", PROGRAMS)
async def test_statements_stay_prepared_where_the_table_says_so(pooler: str, server: Server) -> None:
    [(_, new, old)] = [row for row in ROWS if row[0] == PREPARED]
    assert (new, old) == ("works", "parsed anew")
    async with (
        pgbouncer(server.dsn(), max_client_conn=50, program=pooler, pool_size=1) as dsn,
        DatabasePool(dsn, 1) as db,
    ):
        await db.fetchval("select $1::int + 77", 1)
        kept = "select count(*) from pg_prepared_statements where statement = 'select $1::int + 77' and name <> ''"
        assert await db.fetchval(kept) == (1 if pooler == PROGRAM else 0)


@pytest.mark.parametrize("pooler", PROGRAMS)
async def test_callers_beyond_the_pooler_s_sessions_wait_where_the_pool_does_not_see_them(
    pooler: str, server: Server
) -> None:
    async with (
        pgbouncer(server.dsn(), max_client_conn=50, program=pooler, pool_size=2) as dsn,
        DatabasePool(dsn, 5) as db,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(5):
            group.create_task(db.fetchval("select pg_sleep(0.2)"))
        while db.stats().held < 5:
            await asyncio.sleep(0.005)
        assert db.stats().waiting == 0


def test_every_program_is_shown_with_its_output() -> None:
    assert [str(program) for program in GUIDE if program.shown is None] == []
    assert len(GUIDE) == 3
    assert len(ROWS) == len(CHECKS) + 1
