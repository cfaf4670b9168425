"""docs/guides/pgbouncer.md: what it says of PgBouncer's transaction mode is so, with an old one and a new one."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from pathlib import Path

import asyncpg
import pytest

from dbpool import DatabasePool, QueryTimeout, ServerUnavailable
from tests.docs.guide import ROOT, Program, printed_by, programs_of
from tests.support.pgbouncer import OLD_PROGRAM, PROGRAM, PROGRAMS, pgbouncer
from tests.support.server import Server

TEXT = (ROOT / "docs" / "guides" / "pgbouncer.md").read_text("utf-8")
GUIDE = programs_of(TEXT)

ASKS = """
import asyncio, collections, sys
from dbpool import DatabasePool

async def main(dsn, own, cache):
    seen = collections.Counter()
    async with DatabasePool(dsn, 4, statement_cache_size=cache) as db:
        for _ in range(30):
            asked = (db.fetchval(f"select $1::int + {own}", n) for n in range(8))
            for n, answer in enumerate(await asyncio.gather(*asked, return_exceptions=True)):
                seen["error" if isinstance(answer, Exception) else "right" if answer == n + own else "wrong"] += 1
    print(*(f"{what}={seen[what]}" for what in ("right", "wrong", "error")))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


@pytest.mark.parametrize("pooler", PROGRAMS)
@pytest.mark.parametrize("program", GUIDE, ids=str)
async def test_a_program_prints_what_the_guide_shows(
    program: Program, pooler: str, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIRECT_URL", server.dsn())
    async with pgbouncer(server.dsn(), max_client_conn=50, program=pooler) as dsn:
        assert await asyncio.to_thread(printed_by, program, tmp_path, dsn) == program.shown


async def answers_of_two_processes(dsn: str, cache: int) -> Counter[str]:
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ASKS, dsn, str(own), str(cache)), stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        for own in (1000, 2000)
    ]
    seen: Counter[str] = Counter()
    for process in processes:
        out, _ = await process.communicate()
        seen.update({what: int(number) for what, number in re.findall(r"(\w+)=(\d+)", out.decode())})
    return seen


@pytest.mark.parametrize(("pooler", "cache"), [(OLD_PROGRAM, 0), (PROGRAM, 100)])
async def test_two_processes_are_answered_right_as_the_guide_has_them(pooler: str, cache: int, server: Server) -> None:
    async with pgbouncer(server.dsn(), max_client_conn=50, program=pooler, pool_size=2) as dsn:
        assert await answers_of_two_processes(dsn, cache) == {"right": 480, "wrong": 0, "error": 0}


async def test_two_processes_are_not_with_an_old_one_and_a_cache(server: Server) -> None:
    async with pgbouncer(server.dsn(), max_client_conn=50, program=OLD_PROGRAM, pool_size=2) as dsn:
        seen = await answers_of_two_processes(dsn, 100)
    assert seen["wrong"] + seen["error"] > 0  # which of them, is a matter of time


@pytest.mark.parametrize("pooler", PROGRAMS)
async def test_a_parameter_of_the_session_is_refused_when_it_connects(pooler: str, server: Server) -> None:
    async with pgbouncer(server.dsn(), max_client_conn=50, program=pooler) as dsn:
        with pytest.raises(ServerUnavailable, match="unsupported startup parameter: statement_timeout") as caught:
            await DatabasePool(dsn, server_settings={"statement_timeout": "5s"}, outage_patience=0.05).open()
    assert isinstance(caught.value.__cause__, asyncpg.ProtocolViolationError)


@pytest.mark.parametrize(("pooler", "cache"), [(OLD_PROGRAM, 0), (PROGRAM, 100)])
async def test_what_the_table_says_works_does(pooler: str, cache: int, server: Server, tmp_path: Path) -> None:
    async with (
        pgbouncer(server.dsn(), max_client_conn=50, program=pooler) as dsn,
        DatabasePool(dsn, 8, statement_cache_size=cache) as db,
    ):
        await db.execute("drop table if exists of_pooler; create table of_pooler (id int primary key)")
        try:
            await db.executemany("insert into of_pooler values ($1)", [(n,) for n in range(1000)])
            await db.insert("of_pooler", [{"id": n} for n in range(1000, 2000)])
            await db.load("of_pooler", [{"id": n} for n in range(2000, 5000)])
            assert (await db.export("of_pooler", tmp_path / "of_pooler.csv")).rows == 5000
            assert len([row async for row in db.stream("select id from of_pooler", prefetch=500)]) == 5000
            found = [
                value async for _, value, _ in db.map_val("select id + 1 from of_pooler where id = $1", range(3000))
            ]
            assert found == list(range(1, 3001))
            asked = (db.fetchval("select id from of_pooler where id = $1", n, coalesce=True) for n in range(300))
            assert await asyncio.gather(*asked) == list(range(300))
            async with db.transaction(settings={"app.tenant": "7"}) as tx:
                async with tx.transaction():
                    await tx.execute("create temp table mine (id int) on commit drop")
                assert await tx.fetchval("select current_setting('app.tenant')") == "7"
                assert await tx.fetchval("select count(*) from mine") == 0
            async with db.acquire() as connection:
                assert await (await connection.prepare("select $1::int + 1")).fetchval(41) == 42
            with pytest.raises(QueryTimeout):
                await db.fetchval("select pg_sleep(60)", timeout=0.1)
        finally:
            await db.execute("drop table of_pooler")


@pytest.mark.parametrize("pooler", PROGRAMS)
async def test_callers_beyond_the_pooler_s_sessions_wait_where_the_pool_does_not_see_them(
    pooler: str, server: Server
) -> None:
    async with (
        pgbouncer(server.dsn(), max_client_conn=50, program=pooler, pool_size=2) as dsn,
        DatabasePool(dsn, 5, statement_cache_size=0) as db,
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
