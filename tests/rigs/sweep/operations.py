"""What a pool's callers do, one operation for each public coroutine or for a few that belong together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg

import dbpool
from dbpool import BulkFailed, CommitOutcomeUnknown, DatabasePool, Gate, JobError
from tests.rigs.caller import Caller
from tests.rigs.told import told_by_asyncpg

INSERT = "insert into wire values ($1)"
Work: TypeAlias = Callable[[Any, Caller], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One of them; *covers* names what it calls, as ``public_coroutines`` does."""

    work: Work
    covers: frozenset[str]
    pool: str
    """Of which pool it is: "ours", "asyncpg's", or "none": it makes its own."""

    @property
    def name(self) -> str:
        return self.work.__name__


OPERATIONS: list[Operation] = []


def sweeps(*names: str, pool: str = "ours") -> Callable[[Work], Work]:
    def add(work: Work) -> Work:
        OPERATIONS.append(Operation(work, frozenset(names), pool))
        return work

    return add


def of(cls: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{cls}.{name}" for name in names)


# Statements


@sweeps(*of("DatabasePool", "fetch", "fetchrow", "fetchval"))
async def reads(db: DatabasePool, me: Caller) -> None:
    me.expects("fetch", [row[0] for row in await db.fetch("select $1::bigint", me.number)], [me.number])
    me.expects("fetchrow", (await db.fetchrow("select $1::bigint", me.number) or [0])[0], me.number)
    me.expects("fetchval", await db.fetchval("select $1::bigint", me.number), me.number)


@sweeps("DatabasePool.execute")
async def writes(db: DatabasePool, me: Caller) -> None:
    with me.writing() as key:
        await db.execute(INSERT, key)


@sweeps("DatabasePool.fetchval")
async def owes_a_reset(db: DatabasePool, me: Caller) -> None:
    await db.fetchval("select set_config('app.leak', $1, false)", str(me.number))


@sweeps("DatabasePool.executemany")
async def writes_many(db: DatabasePool, me: Caller) -> None:
    with me.writing(rows=3) as key:
        await db.executemany(INSERT, [(key,)] * 3)


@sweeps("DatabasePool.stream", *of("StreamedRows", "__anext__", "aclose"))
async def streams(db: DatabasePool, me: Caller) -> None:
    async with aclosing(db.stream("select generate_series(1, $1)", 5, prefetch=2)) as rows:
        async for _ in rows:
            pass


# Transactions


@sweeps("DatabasePool.transaction", *of("Transacting", "__aenter__", "__aexit__"))
async def transacts(db: DatabasePool, me: Caller) -> None:
    with me.writing(in_transaction=True) as key:
        async with db.transaction(settings={"app.tenant": "7"}) as tx:
            await tx.execute(INSERT, key)
            await tx.fetchval("select 1")


@sweeps(*of("Transaction", "transaction", "__aenter__", "__aexit__", "executemany"))
async def nests(db: DatabasePool, me: Caller) -> None:
    with me.writing(rows=2, in_transaction=True) as key:
        async with db.transaction() as tx:
            async with tx.transaction() as inner:
                await inner.executemany(INSERT, [(key,)] * 2)


@sweeps(*of("Transaction", "stream", "stream_bound"), "Rows.__anext__")
async def streams_within(db: DatabasePool, me: Caller) -> None:
    with me.writing(in_transaction=True) as key:
        async with db.transaction() as tx:
            await tx.execute(INSERT, key)
            async with aclosing(tx.stream("select generate_series(1, $1)", 5, prefetch=2)) as rows:
                async for _ in rows:
                    pass


@sweeps(*of("Transaction", "start", "commit"))
async def begins_by_hand(db: DatabasePool, me: Caller) -> None:
    with me.writing(in_transaction=True) as key:
        async with db.acquire() as connection:
            tx: Any = connection.transaction()  # ours, though the handle is typed as asyncpg's
            await tx.start()
            await tx.execute(INSERT, key)
            await tx.commit()


@sweeps("Transaction.rollback")
async def rolls_back(db: DatabasePool, me: Caller) -> None:
    async with db.transaction() as tx:
        await tx.execute(INSERT, -1)
        await tx.rollback()


@sweeps("DatabasePool.run")
async def runs(db: DatabasePool, me: Caller) -> None:
    with me.writing(in_transaction=True) as key:
        await db.run(lambda tx: tx.execute(INSERT, key))


@sweeps("DatabasePool.outcome")
async def asks_for_an_outcome(db: DatabasePool, me: Caller) -> None:
    xid = await db.fetchval("select pg_current_xact_id()::text")
    await db.outcome(CommitOutcomeUnknown("", xid=xid), timeout=0.2)


# Connections


@sweeps("DatabasePool.acquire", *of("Acquiring", "__aenter__", "__aexit__"))
async def acquires(db: DatabasePool, me: Caller) -> None:
    async with db.acquire() as connection:
        await connection.execute("set work_mem = '65kB'")


@sweeps("DatabasePool.release", "Acquiring.__await__")
async def releases(db: DatabasePool, me: Caller) -> None:
    connection = await db.acquire()
    try:
        await connection.fetchval("select 1")
    finally:
        await db.release(connection)


@sweeps(*of("Loan", "fetch", "fetchrow", "fetchval", "fetchmany", "prepare", "reset"))
async def reads_on_a_connection(db: DatabasePool, me: Caller) -> None:
    async with db.acquire() as connection:
        await connection.fetch("select 1")
        await connection.fetchrow("select 1")
        await connection.fetchval("select 1")
        await connection.fetchmany("select $1::int", [(1,), (2,)])
        statement = await connection.prepare("select 2")
        await statement.fetchval()
        await connection.reset()


@sweeps(*of("Loan", "execute", "executemany"))
async def writes_on_a_connection(db: DatabasePool, me: Caller) -> None:
    async with db.acquire() as connection:
        with me.writing(tells=told_by_asyncpg) as key:
            await connection.execute(INSERT, key)
        with me.writing(rows=2, tells=told_by_asyncpg) as key:
            await connection.executemany(INSERT, [(key,)] * 2)


@sweeps(*of("Loan", "copy_records_to_table", "copy_to_table"))
async def copies_in(db: DatabasePool, me: Caller) -> None:
    async with db.acquire() as connection:
        with me.writing(rows=2, tells=told_by_asyncpg) as key:
            await connection.copy_records_to_table("wire", records=[(key,)] * 2, columns=["key"])
        with me.writing(rows=2, tells=told_by_asyncpg) as key:
            await connection.copy_to_table("wire", source=source_of([key, key]), columns=["key"])


@sweeps(*of("Loan", "copy_from_query", "copy_from_table"))
async def copies_out(db: DatabasePool, me: Caller) -> None:
    async with db.acquire() as connection:
        await connection.copy_from_query("select generate_series(1, 9)", output=swallow)
        await connection.copy_from_table("few", output=swallow)


@sweeps("Loan.close")
async def closes_a_connection(db: DatabasePool, me: Caller) -> None:
    async with db.acquire() as connection:
        await connection.close(timeout=0.2)


async def swallow(data: bytes) -> None:
    pass


async def source_of(keys: list[int]) -> Any:  # noqa: ANN401 - an async generator, as asyncpg wants it
    for key in keys:
        yield f"{key}\n".encode()


# Many items


@sweeps(*of("DatabasePool", "map", "map_row", "map_val", "fetch_all"))
async def maps(db: DatabasePool, me: Caller) -> None:
    with suppress(BulkFailed):
        await db.fetch_all("select $1::bigint", [1, 2])
    async for _ in db.map("select $1::bigint", [1, 2]):
        pass
    async for _ in db.map_row("select $1::bigint", [1, 2]):
        pass
    async for key, value, error in db.map_val("select $1::bigint", [me.number, 2]):
        if error is None:
            me.expects("map_val", value, key)


@sweeps("DatabasePool.for_each", "for_each")
async def does_for_each(db: DatabasePool, me: Caller) -> None:
    async for _ in db.for_each([1, 2], lambda n: db.fetchval("select $1::bigint", n), at_once=2):
        pass


@sweeps(*of("DatabasePool", "explain_map", "taking_text"))
async def explains(db: DatabasePool, me: Caller) -> None:
    await db.explain_map("select $1::bigint", [1])
    await db.taking_text("select $1::bigint")


@sweeps("DatabasePool.insert")
async def inserts(db: DatabasePool, me: Caller) -> None:
    with me.writing(rows=3) as key:
        await db.insert("wire", [(key,)] * 3, columns=["key"])


@sweeps(*of("DatabasePool", "upsert", "update_from"))
async def upserts(db: DatabasePool, me: Caller) -> None:
    rows = [{"id": 1, "n": me.number}, {"id": 2, "n": me.number}]
    await db.upsert("few", rows, key="id")
    await db.update_from("few", rows, key="id")


@sweeps("DatabasePool.load")
async def loads(db: DatabasePool, me: Caller) -> None:
    with me.writing(rows=2) as key:
        await db.load("wire", [(key,)] * 2, columns=["key"])


@sweeps("DatabasePool.export")
async def exports(db: DatabasePool, me: Caller) -> None:
    await db.export("select generate_series(1, 9)", Path(f"/tmp/dbpool-sweep-{me.number}.csv"))


@sweeps(*of("DatabasePool", "job", "jobs", "job_rejects", "forget_job"), *of("Job", "run", "retry_rejects"))
async def does_a_job(db: DatabasePool, me: Caller) -> None:
    name = f"sweep {me.number}"
    with me.writing(rows=2, in_transaction=False) as key:
        job = db.job(name, INSERT, [key, key], at_once=1)
        await job.run()
    await db.job(name, INSERT, [key, key], at_once=1).retry_rejects()
    await db.jobs()
    await db.job_rejects(name)
    with suppress(JobError):
        await db.forget_job(name)


# A pool's life


@sweeps(*of("DatabasePool", "__aenter__", "__aexit__", "open"), pool="none")
async def opens(db: DatabasePool, me: Caller) -> None:
    async with db:
        await db.fetchval("select 1")


@sweeps("DatabasePool.close", pool="none")
async def closes(db: DatabasePool, me: Caller) -> None:
    await db.open()
    await db.close(timeout=0.3)


@sweeps("DatabasePool.pause")
async def pauses(db: DatabasePool, me: Caller) -> None:
    for disconnect in (False, True):
        try:
            await db.pause(timeout=1, disconnect=disconnect)
        finally:
            db.resume()
    db.resize(1)
    try:
        await db.fetchval("select 1")
    finally:
        db.resize(2)
    db.drain()
    await db.fetchval("select 1")


@sweeps("DatabasePool.listen", *of("Subscription", "__aenter__", "__aexit__", "__anext__"))
async def listens(db: DatabasePool, me: Caller) -> None:
    async with db.listen("sweep") as events:
        await db.execute("select pg_notify('sweep', 'now')")
        async with asyncio.timeout(1):
            await anext(events)


@sweeps(*of("GateLane", "__aenter__", "enter", "leave_by_hand"), *of("Gate", "close", "wait_empty"))
async def passes_a_gate(db: DatabasePool, me: Caller) -> None:
    gate = Gate(1)
    async with gate:
        pass
    async with gate.enter(timeout=1):
        pass
    async with AsyncExitStack() as stack:  # which asks the class how to leave
        await stack.enter_async_context(gate)
    await gate.wait_empty()
    await gate.close()


# asyncpg's interface


@sweeps("create_pool", *of("AsyncpgPool", "open", "close"), pool="none")
async def creates_a_pool(db: DatabasePool, me: Caller) -> None:
    async with dbpool.create_pool(db.dsn.reveal(), min_size=1, max_size=2, timeout=0.5, command_timeout=0.5) as pool:
        await pool.fetchval("select 1")


@sweeps(*of("AsyncpgPool", "fetch", "fetchrow", "fetchval", "fetchmany", "expire_connections"), pool="asyncpg's")
async def reads_as_asyncpg(pool: Any, me: Caller) -> None:  # noqa: ANN401
    await pool.fetch("select 1")
    await pool.fetchrow("select 1")
    me.expects("fetchval", await pool.fetchval("select $1::bigint", me.number), me.number)
    await pool.fetchmany("select $1::int", [(1,), (2,)])
    await pool.expire_connections()


@sweeps(*of("AsyncpgPool", "execute", "executemany"), pool="asyncpg's")
async def writes_as_asyncpg(pool: Any, me: Caller) -> None:  # noqa: ANN401
    with me.writing(tells=told_by_asyncpg) as key:
        await pool.execute(INSERT, key)
    with me.writing(rows=2, tells=told_by_asyncpg) as key:
        await pool.executemany(INSERT, [(key,)] * 2)


@sweeps(*of("AsyncpgPool", "acquire_in", "release"), "AsyncpgLane.release", pool="asyncpg's")
async def acquires_as_asyncpg(pool: Any, me: Caller) -> None:  # noqa: ANN401
    with me.writing(tells=told_by_asyncpg) as key:
        async with pool.acquire(timeout=0.5) as connection, connection.transaction():
            await connection.execute(INSERT, key)
    for way in pool, pool.lane(f"of {me.number}"):
        connection = await way.acquire(timeout=0.5)
        await way.release(connection, timeout=0.5)


@sweeps(
    *of("AsyncpgPool", "copy_from_query", "copy_from_table", "copy_records_to_table", "copy_to_table"), pool="asyncpg's"
)
async def copies_as_asyncpg(pool: asyncpg.Pool[asyncpg.Record], me: Caller) -> None:
    with me.writing(rows=2, tells=told_by_asyncpg) as key:
        await pool.copy_records_to_table("wire", records=[(key,)] * 2, columns=["key"], timeout=0.5)
    with me.writing(rows=2, tells=told_by_asyncpg) as key:
        await pool.copy_to_table("wire", source=source_of([key, key]), columns=["key"], timeout=0.5)
    await pool.copy_from_query("select generate_series(1, 9)", output=swallow, timeout=0.5)
    await pool.copy_from_table("few", output=swallow, timeout=0.5)
