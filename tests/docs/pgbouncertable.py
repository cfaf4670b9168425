"""A check for each row of the table in docs/guides/pgbouncer.md, by the row's first words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from dbpool import (
    DatabasePool,
    FleetFull,
    MigrationError,
    Outcome,
    QueryTimeout,
    ServerUnavailable,
    StatementError,
    UsageError,
    migrate,
)
from dbpool.errors import CommitOutcomeUnknown


@dataclass(frozen=True)
class Ground:
    """An open pool of four connections through a pooler, its address, and a folder."""

    db: DatabasePool
    address: str
    folder: Path


Check: TypeAlias = Callable[[Ground], Awaitable[object]]


async def statements(ground: Ground) -> None:
    db = ground.db
    await db.executemany("insert into of_pooler values ($1)", [(n,) for n in range(1000)])
    assert len(await db.fetch("select id from of_pooler where id < $1", 10)) == 10
    assert dict(await db.fetchrow("select $1::int as a", 7) or {}) == {"a": 7}
    assert await db.fetchval("select $1::text[]", ["a"]) == ["a"]
    assert await db.execute("delete from of_pooler where id > $1", 10) == "DELETE 989"


async def transactions(ground: Ground) -> None:
    async with ground.db.transaction(settings={"app.tenant": "7"}, isolation="serializable") as tx:
        async with tx.transaction():
            await tx.execute("insert into of_pooler values (5000)")
        assert await tx.fetchval("select current_setting('app.tenant')") == "7"
    assert await ground.db.run(lambda tx: tx.fetchval("select count(*) from of_pooler where id = 5000")) == 1


async def outcomes(ground: Ground) -> None:
    async with ground.db.transaction(traceable=True) as tx:
        await tx.execute("insert into of_pooler values (5001)")
    assert tx.xid is not None
    assert await ground.db.outcome(CommitOutcomeUnknown("", xid=tx.xid)) is Outcome.COMMITTED


async def reading(ground: Ground) -> None:
    db = ground.db
    assert len([row async for row in db.stream("select generate_series(1, 3000)", prefetch=500)]) == 3000
    found = [value async for _, value, _ in db.map_val("select $1::int + 1", range(3000))]
    assert found == list(range(1, 3001))
    asked = (db.fetchval("select $1::int", n, coalesce=True) for n in range(300))
    assert await asyncio.gather(*asked) == list(range(300))


async def writing(ground: Ground) -> None:
    await ground.db.insert("of_pooler", [{"id": n} for n in range(10_000, 11_000)])
    await ground.db.load("of_pooler", [{"id": n} for n in range(11_000, 14_000)])
    assert (await ground.db.export("of_pooler", ground.folder / "of_pooler.csv")).rows >= 4000


async def a_job(ground: Ground) -> None:
    await ground.db.job("of_pooler", "insert into of_pooler values ($1)", range(20_000, 20_100)).run()
    assert await ground.db.fetchval("select count(*) from of_pooler where id between 20000 and 20099") == 100


async def acquired(ground: Ground) -> None:
    async with ground.db.acquire() as connection:
        statement = await connection.prepare("select $1::int + 1")
        assert [await statement.fetchval(n) for n in range(3)] == [1, 2, 3]
        async with connection.transaction():
            assert [row[0] async for row in connection.cursor("select generate_series(1, 3)")] == [1, 2, 3]


async def cancelling(ground: Ground) -> None:
    with pytest.raises(QueryTimeout):
        await ground.db.fetchval("select pg_sleep(60)", timeout=0.1)
    running = "select count(*) from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'"
    async with asyncio.timeout(10):
        while await ground.db.fetchval(running):
            await asyncio.sleep(0.01)


async def of_transactions(ground: Ground) -> None:
    async with ground.db.transaction() as tx:
        await tx.execute("set local work_mem = '65kB'")
        await tx.fetchval("select pg_advisory_xact_lock(7)")
        await tx.execute("create temp table mine (id int) on commit drop")
        assert await tx.fetchval("select count(*) from mine") == 0


async def listening(ground: Ground) -> None:
    async with ground.db.acquire() as connection:
        with pytest.raises(StatementError):
            await connection.add_listener("news", print)
    with pytest.raises(UsageError):
        ground.db.listen("news")
    await ground.db.execute("listen news")


def each_of(*texts: str) -> Check:
    """All of *texts* are refused alike."""

    async def check(ground: Ground) -> None:
        for sql in texts[:-1]:
            with pytest.raises(StatementError, match="needs a session of its own"):
                await ground.db.execute(sql)
        await ground.db.execute(texts[-1])

    return check


async def parameters(ground: Ground) -> None:
    for address, given in (ground.address, {"work_mem": "65kB"}), (f"{ground.address}&options=-cwork_mem=65kB", {}):
        with pytest.raises(ServerUnavailable, match="PgBouncer takes no such"):
            await DatabasePool(address, 2, server_settings=given, outage_patience=0.05).open()
    raise StatementError("as each of them was")


CHECKS: dict[str, Check] = {
    "`fetch`, `fetchrow`": statements,
    "`transaction`, savepoints": transactions,
    "`traceable=True`": outcomes,
    "`stream`, `map`": reading,
    "`insert`, `load`": writing,
    "`job`": a_job,
    "`acquire`": acquired,
    "time-outs": cancelling,
    "`SET LOCAL`": of_transactions,
    "`NOTIFY`": lambda ground: ground.db.execute("notify news, '7'"),
    "`LISTEN`": listening,
    "`SET`, ": each_of("set a.b = 1", "reset a.b", "discard all", "select set_config('a.b', '1', false)"),
    "`pg_advisory_lock`": each_of("select pg_try_advisory_lock(7)", "select pg_advisory_lock(7)"),
    "other temporary": each_of("create temp view v as select 1", "create temp sequence s", "create temp table t ()"),
    "cursors `WITH HOLD`": each_of(
        "declare c cursor with hold for select 1", "prepare p as select 1", "execute p", "deallocate p"
    ),
    "`currval`": each_of("select lastval()", "select setseed(0)", "select currval('s')"),
    "`server_settings=`": parameters,
    "`fleet_budget=`": lambda ground: DatabasePool(ground.address, 4, fleet_budget=20, fleet_members=2).open(),
    "`migrate`": lambda ground: migrate.upgrade(ground.address),
}
REFUSALS = (StatementError, FleetFull, MigrationError)


async def becomes(row: str, ground: Ground) -> str:
    """What the table calls what becomes of *row*."""
    [check] = [check for words, check in CHECKS.items() if row.startswith(words)]
    try:
        await check(ground)
    except REFUSALS:
        return "refused"
    return "works"
