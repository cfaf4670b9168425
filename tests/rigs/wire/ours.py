"""The canonical session by a DatabasePool: all that a caller does, one step after another."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

from dbpool import CommitOutcomeUnknown, DatabasePool, DbPoolError, Gap, Outcome, QueryTimeout
from dbpool.testing.leftovers import at_rest
from tests.rigs.caller import Caller
from tests.rigs.told import told_by, told_by_asyncpg

# Short, so that silence costs little; each a limit of one thing, see PoolSettings.
ACQUIRE_S, QUERY_S, CONNECT_S, RESET_S, QUARANTINE_S, CLOSE_S, PATIENCE_S = 1.0, 0.5, 0.7, 0.25, 0.3, 0.5, 0.3
CALL_S = ACQUIRE_S + QUERY_S
NAP_S = 0.12  # before a statement is cancelled: it has begun by then
INSERT = "insert into wire values ($1)"


async def one_shots(db: DatabasePool, me: Caller) -> None:
    for _ in "parsed", "prepared":
        n = await me.waits("fetchval", db.fetchval("select $1::bigint", me.number), CALL_S)
        me.expects("fetchval", n, me.number)


async def one_shot_write(db: DatabasePool, me: Caller) -> None:
    with me.writing() as key:
        await me.waits("execute", db.execute(INSERT, key), CALL_S)


async def transaction(db: DatabasePool, me: Caller) -> None:
    with me.writing(in_transaction=True) as key:
        try:
            # it ends with the transaction's id, then COMMIT
            async with me.block("transaction", db.transaction(traceable=True), CALL_S, 2 * QUERY_S) as tx:
                await me.waits("tx.execute", tx.execute(INSERT, key), QUERY_S)
                async with me.block("savepoint", tx.transaction(), QUERY_S, 2 * QUERY_S) as inner:
                    n = await me.waits("tx.fetchval", inner.fetchval("select $1::bigint", me.number), QUERY_S)
                    me.expects("tx.fetchval", n, me.number)
        except CommitOutcomeUnknown as error:
            outcome = await resolved(db, me, error)
            if outcome is Outcome.COMMITTED:
                return
            if outcome is Outcome.ABORTED:
                raise RolledBack from error
            raise


class RolledBack(DbPoolError):
    """As the server told afterwards."""


async def resolved(db: DatabasePool, me: Caller, error: CommitOutcomeUnknown) -> Outcome:
    try:
        outcome = await db.outcome(error, timeout=0.2)
    except DbPoolError:
        return Outcome.UNKNOWN
    me.unknown_resolved += outcome in (Outcome.COMMITTED, Outcome.ABORTED)
    return outcome


async def run_again(db: DatabasePool, me: Caller) -> None:
    with me.writing(in_transaction=True) as key:
        await me.waits("run", db.run(lambda tx: tx.execute(INSERT, key)), CALL_S + 3 * QUERY_S)


async def coalesced(db: DatabasePool, me: Caller) -> None:
    async def one(n: int) -> None:
        got = await me.waits("coalesced", db.fetchval("select $1::bigint", n, coalesce=True), 2 * CALL_S)
        me.expects("coalesced", got, n)

    numbers = range(me.number * 10, me.number * 10 + 4)
    ends = await asyncio.gather(*(one(n) for n in numbers), return_exceptions=True)
    for end in ends:
        if end is not None:
            raise end


async def mapped(db: DatabasePool, me: Caller) -> None:
    async for key, value, error in db.map_val("select $1::bigint", [me.number, me.number + 1, me.number + 2]):
        if error is not None:
            raise error
        me.expects("map_val", value, key)


async def many(db: DatabasePool, me: Caller) -> None:
    with me.writing(rows=3) as key:
        await me.waits("executemany", db.executemany(INSERT, [(key,)] * 3), CALL_S)


async def copied_in(db: DatabasePool, me: Caller) -> None:
    with me.writing(rows=3, tells=told_by_asyncpg) as key:
        async with me.block("acquire", db.acquire(), ACQUIRE_S, 2 * RESET_S) as connection:
            work = connection.copy_records_to_table("wire", records=[(key,)] * 3, columns=["key"])
            await me.waits("copy in", work, QUERY_S, tells=told_by_asyncpg)


async def copied_out(db: DatabasePool, me: Caller) -> None:
    rows = bytearray()

    async def take(data: bytes) -> None:
        rows.extend(data)

    async with me.block("acquire", db.acquire(), ACQUIRE_S, 2 * RESET_S) as connection:
        work = connection.copy_from_query(f"select {me.number} + n from generate_series(1, 9) as n", output=take)
        await me.waits("copy out", work, QUERY_S, tells=told_by_asyncpg)
    wanted = "".join(f"{me.number + n}\n" for n in range(1, 10))
    me.expects("copy out", rows.decode(), wanted)


async def inserted(db: DatabasePool, me: Caller) -> None:
    with me.writing(rows=4) as key:
        rows = [(key,)] * 4
        await me.waits("insert", db.insert("wire", rows, columns=["key"]), CALL_S + 5 * QUERY_S)


async def cancelled(db: DatabasePool, me: Caller) -> None:
    try:
        # the call's own time, and then what answers
        await me.waits("sleep", db.fetch("select pg_sleep(5)", timeout=NAP_S), NAP_S)
    except QueryTimeout:
        await me.waits("after a cancel", db.fetchval("select 1"), CALL_S)


async def streamed(db: DatabasePool, me: Caller) -> None:
    sql = "select $1::bigint + n from generate_series(1, 6) as n"
    async with aclosing(db.stream(sql, me.number, prefetch=2)) as rows:
        seen = [row[0] async for row in rows]
    me.expects("stream", seen, [me.number + n for n in range(1, 7)])


async def reset(db: DatabasePool, me: Caller) -> None:
    await me.waits("set", db.execute("set work_mem = '65kB'"), CALL_S)
    left = await me.waits("after a reset", db.fetchval("select current_setting('work_mem') = '65kB'"), CALL_S)
    me.expects("after a reset", left, False)


async def listened(db: DatabasePool, me: Caller) -> None:
    channel = f"wire_{me.number}"
    async with me.block("listen", db.listen(channel), CONNECT_S + RESET_S, CALL_S) as events:
        await me.waits("notify", db.execute("select pg_notify($1, 'now')", channel), CALL_S)
        async with asyncio.timeout(5):
            event = await anext(events)
        if not isinstance(event, Gap):
            me.expects("notification", (event.channel, event.payload), (channel, "now"))


STEPS = (
    one_shots, one_shot_write, transaction, run_again, coalesced, mapped, many, copied_in, copied_out, inserted,
    cancelled, streamed, reset, listened, one_shots,
)  # fmt: skip


class Ours:
    """A DatabasePool of one connection."""

    name = "dbpool"
    steps: tuple[Any, ...] = STEPS
    tells = staticmethod(told_by)

    async def opened(self, dsn: str, me: Caller) -> DatabasePool:
        db = DatabasePool(
            dsn,
            max_connections=1,
            name=f"wire {me.number}",
            acquire_timeout=ACQUIRE_S,
            query_timeout=QUERY_S,
            connect_timeout=CONNECT_S,
            reset_timeout=RESET_S,
            quarantine_timeout=QUARANTINE_S,
            close_timeout=CLOSE_S,
            outage_patience=PATIENCE_S,
        )
        return await me.waits("open", db.open(), CONNECT_S + PATIENCE_S + ACQUIRE_S)

    async def serves(self, db: DatabasePool) -> bool:
        return bool(await db.fetchval("select 1", timeout=CALL_S) == 1)

    async def left(self, db: DatabasePool) -> str:
        """What is left in it that should not be; empty: nothing."""
        return "" if await at_rest(db, 5) else str(db.report())

    async def close(self, db: DatabasePool, me: Caller) -> None:
        await me.waits("close", db.close(), 2 * CLOSE_S + QUARANTINE_S)
        stats = db.stats()
        me.expects("after close", (stats.held, stats.waiting, stats.connections), (0, 0, 0))
