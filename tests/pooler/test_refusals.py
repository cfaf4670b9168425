"""What needs a session of its own is refused in a sentence, and nothing of it is sent."""

from __future__ import annotations

import pytest

from dbpool import StatementError, UsageError
from tests.support.pgbouncer import PROGRAMS, bouncer
from tests.support.pools import pool_of
from tests.support.server import Server

REFUSED = {
    "listen news": "LISTEN needs a session of its own",
    "set work_mem = '65kB'": r"SET needs .*settings=",
    "select set_config('work_mem', '65kB', false)": r"set_config\(..., false\) needs .*settings=",
    "reset all": "RESET needs",
    "discard all": "DISCARD needs",
    "select pg_advisory_lock(7)": r"pg_advisory_lock\(\) needs .*pg_advisory_xact_lock",
    "select pg_advisory_unlock(7)": r"pg_advisory_unlock\(\) needs",
    "create temp table mine (id int)": "a temporary table, view or sequence needs .*ON COMMIT DROP",
    "select 1 as id into temporary mine": "a temporary table",
    "declare mine cursor with hold for select 1": "a cursor WITH HOLD needs .*stream",
    "prepare mine as select 1": "PREPARE needs",
    "execute mine": "EXECUTE needs",
    "deallocate all": "DEALLOCATE needs",
}
OUTSIDE = {"select currval('s')": r"currval\(\) needs", "select setseed(0.5)": r"setseed\(\) needs"}
LEFT = """
select (select count(*) from pg_locks where locktype = 'advisory') + (select count(*) from pg_prepared_statements
where name = 'mine') + (select count(*) from pg_class where relname = 'mine')
+ (select count(*) from pg_cursors where name = 'mine')
"""


@pytest.mark.parametrize("program", PROGRAMS)
async def test_what_needs_a_session_is_refused_wherever_it_is_asked_for(program: str, server: Server) -> None:
    async with (
        bouncer(server.dsn(), program, default_pool_size=1) as pooler,
        pool_of(pooler.address, 3, name="shop") as db,
    ):
        before = await db.fetchval("select current_setting('work_mem')")
        for sql, words in {**REFUSED, **OUTSIDE}.items():
            with pytest.raises(StatementError, match=f"^{words}"):
                await db.execute(sql)
            async with db.acquire() as connection:
                with pytest.raises(StatementError, match=f"^{words}"):
                    await connection.execute(sql)
        for sql, words in REFUSED.items():
            async with db.transaction() as tx:
                with pytest.raises(StatementError, match=f"^{words}"):
                    await tx.execute(sql)
                assert await tx.fetchval("select 1") == 1  # it goes on, for nothing was sent
        async with db.acquire() as connection:
            await connection.reset()  # of a session that is not its own, there is nothing
        with pytest.raises(
            StatementError,
            match=r"^SET needs a session of its own, and pool 'shop' goes through a pooler in transaction mode",
        ):
            await db.execute("select 1; set work_mem = '65kB'")
        assert await db.fetchval(LEFT) == 0
        assert await db.fetchval("select current_setting('work_mem')") == before
        assert db.stats().discarded_total == 0


@pytest.mark.parametrize("program", PROGRAMS)
async def test_listening_is_refused_in_a_sentence(program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program) as pooler, pool_of(pooler.address, 3, name="shop") as db:
        with pytest.raises(
            UsageError, match="pool 'shop' goes through a pooler in transaction mode, where LISTEN hears"
        ):
            db.listen("news")
        async with db.acquire() as connection:
            with pytest.raises(StatementError, match="LISTEN needs a session"):
                await connection.add_listener("news", print)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_what_lasts_as_long_as_a_transaction_works_in_one(program: str, server: Server) -> None:
    async with (
        bouncer(server.dsn(), program, default_pool_size=1) as pooler,
        pool_of(pooler.address, 3) as db,
        db.transaction(settings={"work_mem": "65kB"}) as tx,
    ):
        assert await tx.fetchval("show work_mem") == "65kB"
        await tx.execute("set local work_mem = '66kB'")
        await tx.fetchval("select pg_advisory_xact_lock(7)")
        await tx.execute("create temp table mine (id serial) on commit drop")
        await tx.execute("insert into mine default values")
        assert await tx.fetchval("select currval('mine_id_seq')") == 1
        await tx.execute("declare mine cursor for select 1")
        assert await tx.fetchval("show work_mem") == "66kB"


@pytest.mark.parametrize("program", PROGRAMS)
async def test_in_session_mode_all_of_it_works(program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program, pool_mode="session") as pooler, pool_of(pooler.address, 3) as db:
        async with db.acquire() as connection:
            for sql in ("set work_mem = '65kB'", "create temp table mine (id int)", "select pg_advisory_lock(7)"):
                await connection.execute(sql)
            assert await connection.fetchval("show work_mem") == "65kB"
        assert await db.fetchval("select to_regclass('mine') is null and current_setting('work_mem') <> '65kB'")
        async with db.listen("news") as events:
            await db.execute("notify news, 'seven'")
            assert (await anext(events)).payload == "seven"  # type: ignore[union-attr]
