"""What one caller leaves behind in a session, the next caller does not find; and who leaves nothing pays nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from dbpool import DatabasePool, QueryTimeout
from dbpool.core.functions import PURE_FUNCTIONS
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, settled, witness_of
from tests.support.proxy import proxy_before

SETUP = """
create table t (a serial, b int);
insert into t (b) values (1);
create sequence s;
create function leaks() returns text language sql as $$ select set_config('app.leak', 'yes', false) $$;
create function leaks_by_do() returns void language plpgsql as $$ begin set work_mem = '65kB'; end $$;
create function locks() returns int language sql as $$ select 1 from (select pg_advisory_lock(7)) x $$;
create function fails_with_a_lock() returns int language plpgsql as
    $$ begin perform pg_advisory_lock(7); return 1/0; end $$;
"""
# Everything that a session can be told apart by. Settings that are as the server's, the role's or the client's start
# made them are left out; so is the custom setting that has been set once and is '' since, which PostgreSQL cannot undo.
AUDIT = """
select 'setting ' || name || ' = ' || setting as left_behind from pg_settings
    where source = 'session' and setting <> '' and name not in ('jit')
union all select 'custom setting ' || current_setting('app.leak', true) where current_setting('app.leak', true) <> ''
union all select 'role ' || current_user where current_user <> $1
union all select 'user ' || session_user where session_user <> $1
union all select 'lock ' || objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
union all select 'cursor ' || name from pg_cursors where name <> ''
union all select 'channel ' || channel from pg_listening_channels() as channel
union all select 'temporary ' || relname from pg_class
    where relnamespace = pg_my_temp_schema() and relkind in ('r', 'S')
"""

Leave = Callable[[DatabasePool], Awaitable[object]]

# Each is one statement that leaves something in its session.
LEFT_BY: dict[str, str] = {
    "set": "set work_mem = '65kB'",
    "set a custom setting": "set app.leak = 'yes'",
    "set search_path": "set search_path = pg_temp",
    "set_config": "select set_config('app.leak', 'yes', false)",
    "set_config in capitals": "SELECT Set_Config('app.leak', 'yes', false)",
    "set_config by its full name": "select pg_catalog.\"set_config\"('app.leak', 'yes', false)",
    "set_config in a filter": "select 1 from t where set_config('app.leak', 'yes', false) = 'yes'",
    "set_config in a write": "update t set b = length(set_config('app.leak', 'yes', false))",
    "set_config in a with": "with w as (select set_config('app.leak', 'yes', false)) select * from w",
    "do": "do $$ begin perform set_config('app.leak', 'yes', false); end $$",
    "a function that sets": "select leaks()",
    "a function that sets, written as a column": "select leaks from leaks()",
    "a function in plpgsql": "select leaks_by_do()",
    "set role": "set role pg_read_all_data",
    "set session authorization": "set session authorization pg_read_all_data",
    "an advisory lock": "select pg_advisory_lock(7)",
    "a function that locks": "select locks()",
    "a lock before an error": "select fails_with_a_lock()",
    "a lock, then an error in one text": "select pg_advisory_lock(7), 1 / (b - b) from t",
    "listen": "listen news",
    "a held cursor": "declare c cursor with hold for select 1",
    "a temporary table": "create temp table left_over (a int)",
    "a temporary table by select into": "select 1 as a into temp left_over",
    "a script": "select 1; set work_mem = '65kB'",
}


async def audit(db: DatabasePool) -> list[str]:
    """What the next caller finds."""
    user = await db.fetchval("select rolname from pg_roles where oid = 10")
    return [row["left_behind"] for row in await db.fetch(AUDIT, user)]


async def by_one_shot(db: DatabasePool, sql: str) -> None:
    await db.execute(sql)


async def by_prepared_one_shot(db: DatabasePool, sql: str) -> None:
    await db.fetch(sql)
    await db.fetch(sql)


async def by_acquire(db: DatabasePool, sql: str) -> None:
    async with db.acquire() as connection:
        await connection.execute(sql)


async def by_prepare(db: DatabasePool, sql: str) -> None:
    async with db.acquire() as connection:
        await (await connection.prepare(sql)).fetch()


async def by_transaction(db: DatabasePool, sql: str) -> None:
    async with db.transaction() as tx:
        await tx.execute(sql)


async def by_executemany(db: DatabasePool, sql: str) -> None:
    await db.executemany(sql, [()])


async def by_line(db: DatabasePool, sql: str) -> None:
    """While others stand in line, for whom the connection is handed on."""
    others = [asyncio.create_task(db.fetchval("select 1")) for _ in range(3)]
    try:
        await db.execute(sql)
    finally:
        await asyncio.gather(*others)


WAYS = [by_one_shot, by_prepared_one_shot, by_acquire, by_prepare, by_transaction, by_executemany, by_line]


@pytest.mark.parametrize("way", WAYS)
async def test_the_next_caller_finds_nothing_left_behind(
    database: Database, way: Callable[[DatabasePool, str], Awaitable[None]]
) -> None:
    found = {}
    async with pool_of(database, 1) as db:
        await db.execute(SETUP)
        for name, sql in LEFT_BY.items():
            try:
                await way(db, sql)
            except (asyncpg.DivisionByZeroError, asyncpg.PostgresSyntaxError):  # meant to fail; or no such form
                pass
            except Exception as error:
                if name not in ("a script", "a held cursor"):  # which cannot be done in every way
                    raise AssertionError(name) from error
            if left := await audit(db):
                found[name] = left
        assert db.stats().connects_total == 1
    assert found == {}


async def test_the_audit_sees_what_is_left_when_nothing_is_reset(database: Database) -> None:
    blind = []
    async with pool_of(database, 1, reset="never") as db:
        await db.execute(SETUP)
        for name, sql in LEFT_BY.items():
            async with db.acquire() as connection:
                try:
                    await connection.execute(sql)
                except asyncpg.DivisionByZeroError:
                    pass
            if not await audit(db):
                blind.append(name)
            async with db.acquire() as connection:
                await connection.close()
    assert blind == []


async def test_a_sequences_value_is_gone_with_its_user(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create sequence s")
        assert await db.fetchval("select nextval('s')") == 1
        with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
            await db.fetchval("select lastval()")


async def test_a_statement_prepared_in_sql_is_gone_with_its_user(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("prepare p as select 1")
        await db.execute("prepare p as select 2")
        assert await db.fetchval("select count(*) from pg_prepared_statements where from_sql") == 0


async def test_a_random_seed_is_gone_with_its_user(database: Database) -> None:
    async with pool_of(database, 1) as db:
        firsts = set()
        for _ in range(2):
            await db.execute("select setseed(0.5)")
            firsts.add(await db.fetchval("select random()"))
        assert len(firsts) == 2


async def test_a_cancelled_caller_leaves_nothing(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness, witness.holding():
        sql = "select set_config('work_mem', '65kB', false), pg_advisory_lock(7), pg_advisory_xact_lock(1)"
        task = asyncio.create_task(db.fetch(sql))
        await witness.until_blocked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(QueryTimeout):
            await db.fetch(sql, timeout=0.1)
        await settled(db)
        assert await audit(db) == []


async def test_a_listener_left_on_a_connection_hears_nothing_of_later_users(database: Database) -> None:
    heard: list[object] = []
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        with pytest.warns(asyncpg.InterfaceWarning, match="listener"):
            async with db.acquire() as connection:
                await connection.add_listener("news", lambda *news: heard.append(news))
        await witness.run("notify news")
        assert await audit(db) == []
        assert heard == []


async def test_a_codec_of_one_user_is_none_of_the_next(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with db.acquire() as connection:
            await connection.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=lambda _: "decoded")
            assert await connection.fetchval("select '{}'::json") == "decoded"
        assert await db.fetchval("select '{}'::json") == "{}"


async def prepares_only(db: DatabasePool) -> None:
    async with db.acquire() as connection:
        await connection.prepare("select b from t where b = $1")


async def gives_what_is_no_number(db: DatabasePool) -> None:
    with pytest.raises(asyncpg.DataError):
        await db.fetch("select b from t where b = $1", "one")


async def gives_too_little(db: DatabasePool) -> None:
    with pytest.raises(asyncpg.InterfaceError):
        await db.fetch("select b from t where b = $1")


async def gives_too_little_and_says_nothing(db: DatabasePool) -> None:
    async with db.acquire() as connection:
        with pytest.raises(asyncpg.InterfaceError):
            await connection.fetch("select b from t where b = $1")


MISFITS = [prepares_only, gives_what_is_no_number, gives_too_little, gives_too_little_and_says_nothing]


@pytest.mark.parametrize("use", MISFITS)
async def test_who_prepared_a_statement_and_did_not_run_it_leaves_no_lock_on_its_tables(
    database: Database, use: Leave
) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        await db.execute("create table t (b int)")
        await use(db)
        await settled(db)
        assert [row["state"] for row in await witness.backends()] == ["idle"]
        await witness.run("set lock_timeout = '1s'")
        await witness.run("alter table t add c int")


# Who leaves nothing pays nothing


async def fails(db: DatabasePool, sql: str) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await db.fetch(sql)


async def drain(db: DatabasePool) -> None:
    async for _ in db.stream("select * from t"):
        pass


CLEAN: dict[str, Leave] = {
    "fetch": lambda db: db.fetch("select * from t where b = $1", 1),
    "a function known to be pure": lambda db: db.fetchval("select lower(now()::text), count(*) from t"),
    "a join, a with and a case": lambda db: db.fetch(
        "with w as (select * from t) select case when w.b in (1) then 1 end from w join t using (a)"
    ),
    "insert": lambda db: db.execute("insert into t (b) values ($1)", 2),
    "a status": lambda db: db.execute("update t set b = b + 1"),
    "an error of the server": lambda db: fails(db, "select 1/0"),
    "a syntax error": lambda db: fails(db, "select from from"),
    "a lock of the transaction": lambda db: db.fetch("select pg_advisory_xact_lock(5)"),
    "a set_config of the text only": lambda db: db.fetchval("select 'set_config(1)' /* leaks() */"),
    "executemany": lambda db: db.executemany("insert into t (b) values ($1)", [(1,), (2,)]),
    "a transaction": lambda db: by_transaction(db, "insert into t (b) values (1)"),
    "a stream": drain,
}


async def test_a_clean_caller_costs_no_reset(database: Database) -> None:
    costly = []
    async with pool_of(database, 1) as db:
        await db.execute(SETUP)
        for name, use in CLEAN.items():
            before = db.stats().resets_total
            await use(db)
            if db.stats().resets_total != before:
                costly.append(name)
    assert costly == []


async def test_a_prepared_one_shot_is_one_round_trip(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        await db.fetchval("select $1::int", 0)
        before = proxy.round_trips()
        for n in range(10):
            assert await db.fetchval("select $1::int", n) == n
        await asyncio.gather(*(db.fetchval("select $1::int", n) for n in range(10)))
        assert proxy.round_trips() - before == 20


async def test_a_transaction_of_one_statement_is_three_round_trips(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        before = proxy.round_trips()
        await by_transaction(db, "select 1")
        assert proxy.round_trips() - before == 3


async def test_what_is_owed_is_one_reset_of_one_round_trip(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        before, resets = proxy.round_trips(), db.stats().resets_total
        await db.execute("set work_mem = '65kB'")
        assert (proxy.round_trips() - before, db.stats().resets_total - resets) == (2, 1)
        await db.execute("select 1")
        assert (proxy.round_trips() - before, db.stats().resets_total - resets) == (3, 1)


async def test_reset_always_resets_after_every_lease(database: Database) -> None:
    async with pool_of(database, 1, reset="always") as db:
        before = db.stats().resets_total
        for _ in range(3):
            await db.fetchval("select 1")
        assert db.stats().resets_total - before == 3


async def test_reset_never_leaves_what_callers_leave_but_ends_their_transactions(database: Database) -> None:
    async with pool_of(database, 1, reset="never") as db:
        await db.execute("set work_mem = '65kB'")
        assert await audit(db) == ["setting work_mem = 65"]
        async with db.acquire() as connection:
            await connection.execute("begin")
        assert await db.fetchval("select pg_current_xact_id_if_assigned()") is None
        async with db.acquire() as connection:
            assert not connection.is_in_transaction()


async def test_a_function_that_is_trusted_costs_no_reset(database: Database) -> None:
    trusted = frozenset({"harmless", "public.harmless"})
    async with pool_of(database, 1) as plain, pool_of(database, 1, trusted_functions=trusted) as trusting:
        await plain.execute("create function harmless() returns int language sql as 'select 1'")
        for db, resets in ((plain, 2), (trusting, 0)):
            before = db.stats().resets_total
            await db.fetch("select harmless()")
            await db.fetch("select public.harmless()")
            assert db.stats().resets_total - before == resets


async def test_prepared_statements_outlive_a_reset(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.fetchval("select $1::int", 1)
        await db.execute("set work_mem = '65kB'")
        count = "select count(*) from pg_prepared_statements where statement = 'select $1::int'"
        assert await db.fetchval(count) == 1
        assert await db.fetchval("select $1::int", 2) == 2


async def test_a_statement_that_somebody_deallocated_costs_one_call_and_one_connection(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.fetchval("select $1::int", 1)
        await db.execute("deallocate all")
        with pytest.raises(asyncpg.InvalidSQLStatementNameError):
            await db.fetchval("select $1::int", 2)
        await becomes(lambda: db.stats().connections == 0)
        assert await db.fetchval("select $1::int", 3) == 3


async def test_every_function_called_pure_exists_on_the_newest_server(database: Database) -> None:
    async with witness_of(database) as witness:
        if await witness.value("select current_setting('server_version_num')::int") < 180000:
            pytest.skip("older servers lack some of them")
        # these are grammar to the parser, or types that a name followed by a parenthesis can stand for
        known = {name for (name,) in await witness.rows("select proname from pg_proc")}
        types = {name for (name,) in await witness.rows("select typname from pg_type")}
        words = {word for (word,) in await witness.rows("select word from pg_get_keywords()")}
    assert sorted(PURE_FUNCTIONS - known - types - words) == []


async def test_no_function_called_pure_is_volatile_without_a_reason(database: Database) -> None:
    """A volatile function may change anything; those here were looked at one by one."""
    async with witness_of(database) as witness:
        volatile = await witness.rows(
            "select distinct proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace"
            " and provolatile = 'v' and proname = any($1) and proname !~ '^pg_'",
            sorted(PURE_FUNCTIONS),
        )
    assert {name for (name,) in volatile} <= LOOKED_AT


LOOKED_AT = {
    "array_sample", "array_shuffle", "clock_timestamp", "current_query", "gen_random_uuid", "random", "random_normal",
    "timeofday", "txid_current", "txid_status", "uuidv4", "uuidv7",
}  # fmt: skip
