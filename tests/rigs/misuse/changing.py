"""Faults of section D: tables and types that change under those who know what they were."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import asyncpg

from dbpool import ResultUnreadable, Transaction
from tests.rigs.misuse.cases import case, expect, expect_same, refused
from tests.rigs.misuse.kinds import LONE, PAIR
from tests.rigs.misuse.stage import Stage

NARROW, WIDEN = "alter table altered drop column if exists c", "alter table altered add column c int"
ALTERED = "create table altered (a int, b bigint); insert into altered values (1, 1)"
READ = "select * from altered"
RETURNING = "insert into altered (a) values ($1) returning *"
MADE = "create type kind as enum ('x', 'y')"
ASK = "select $1::kind"
WIDE = "create type pair as (a int, b int); create table wide (i int, v pair)"
INSERT = "insert into wide values ($1, $2)"
WRITE = "insert into wide select $1::int, v from (select v from wide where i = 0 limit 1) x returning v"


async def _on_each(stage: Stage, sql: str, *args: object) -> None:
    """Have every connection know *sql*."""
    async with AsyncExitStack() as stack:
        held = [await stack.enter_async_context(stage.db.acquire()) for _ in range(stage.kind.bound)]
        for each in [*held, *held]:  # one that finds that it is out of date makes those before it forget
            await each.fetch(sql, *args)


@case(48, PAIR, setup=ALTERED)
async def table_altered(stage: Stage) -> int:
    """Its callers notice nothing, on any connection."""
    await stage.db.execute("delete from altered where a > 1")
    await stage.db.execute(NARROW)
    await _on_each(stage, READ)
    await stage.db.execute(WIDEN)
    for rows in await asyncio.gather(*(stage.db.fetch(READ) for _ in range(2))):
        expect_same([tuple(row) for row in rows], [(1, 1, None)], "M3", "rows of a table that was altered")
    return 1


@case(48, LONE, setup=ALTERED)
async def table_altered_under_rows_of_an_iterator(stage: Stage) -> int:
    """They are all stored, or the caller is told and none is."""
    number = stage.number() + 1
    await stage.db.execute(NARROW)
    await stage.db.executemany(RETURNING, [(1,)])
    await stage.db.execute(WIDEN)
    met = 0
    try:
        await stage.db.executemany(RETURNING, iter([(number,), (number,)]))
        wanted = 2
    except asyncpg.InvalidCachedStatementError:
        wanted, met = 0, 1
    stored = await stage.db.fetchval("select count(*) from altered where a = $1", number)
    expect_same(stored, wanted, "M3" if wanted else "M5", "rows of executemany")
    return met


@case(49, PAIR, setup=ALTERED)
async def table_altered_in_a_transaction(stage: Stage) -> int:
    """``transaction()`` tells, ``run()`` runs all of it again; then every connection knows."""
    number, tries = stage.number(), []

    async def work(tx: Transaction) -> int:
        tries.append(1)
        await tx.execute("insert into written values ($1)", number)
        return len(await tx.fetch(READ))

    async def once() -> None:
        async with stage.db.transaction() as tx:
            await work(tx)

    await stage.db.execute(NARROW)
    await _on_each(stage, READ)
    await stage.db.execute(WIDEN)
    if stage.rng.random() < 0.5:
        error = await refused(once(), asyncpg.InvalidCachedStatementError)
        expect_same(await stage.stored(number), 0, "M5", "rows stored by a transaction whose plan was out of date")
        await once()
        expect_same(await stage.stored(number), 1, "M3", "rows stored by the next transaction")
        return int(getattr(error, "sqlstate", "") == "0A000")
    await stage.db.run(work)
    expect_same(len(tries), 2, "M6", "tries of a transaction whose plan was out of date")
    expect_same(await stage.stored(number), 1, "M4", "rows stored by a transaction that was run again")
    return 1


@case(50, PAIR, setup=MADE)
async def type_made_anew(stage: Stage) -> int:
    """Its callers notice nothing; ``run()`` runs its transaction again."""
    number, tries = stage.number(), []

    async def work(tx: Transaction) -> None:
        tries.append(1)
        await tx.execute("insert into written values ($1)", number)
        expect_same(await tx.fetchval(ASK, "y"), "y", "M3", "a value of a type made anew")

    await _on_each(stage, ASK, "x")
    await stage.db.execute(f"drop type kind; {MADE}")
    if stage.rng.random() < 0.5:
        got = await asyncio.gather(*(stage.db.fetchval(ASK, "y") for _ in range(3)))
        expect_same(got, ["y"] * 3, "M3", "values of a type made anew")
        return 1
    await stage.db.run(work)
    expect_same(await stage.stored(number), 1, "M4", "rows stored by a transaction that was run again")
    return int(len(tries) == 2)


@case(51, PAIR, setup=WIDE)
async def composite_changed(stage: Stage) -> int:
    """It gains an attribute, and loses it again: what fits works at once, what does not is the caller's error."""
    number = stage.number()
    await stage.db.execute("delete from wide")
    await _on_each(stage, INSERT, 0, (1, 2))
    await stage.db.execute("alter type pair add attribute c int")
    try:
        if stage.rng.random() < 0.5:
            await asyncio.gather(*(stage.db.execute(INSERT, number, (1, 2, 3)) for _ in range(2)))
            wanted = (1, 2, 3)
        else:
            await refused(stage.db.execute(INSERT, number, (1, 2)), asyncpg.DatatypeMismatchError)
            expect_same(await _wide(stage, number), 0, "M5", "rows stored of what the server refused")
            await asyncio.gather(*(stage.db.execute(INSERT, number, {"a": 1, "b": 2}) for _ in range(2)))
            wanted = (1, 2, None)  # type: ignore[assignment] # as the server has it
        rows = await stage.db.fetch("select v from wide where i = $1", number)
        expect_same([tuple(row[0]) for row in rows], [wanted] * 2, "M3", "values of a type with one more attribute")
    finally:
        await stage.db.execute("alter type pair drop attribute c")
    return 1


@case(51, LONE, setup=WIDE)
async def composite_changed_under_a_write(stage: Stage) -> int:
    """What was run and cannot be read is told, once, and is stored once."""
    number = stage.number()
    await stage.db.execute("delete from wide")
    await stage.db.execute(INSERT, 0, (1, 2))
    met = 1
    try:
        await stage.db.fetch(WRITE, -1)
    except ResultUnreadable:  # of what the type lost the last time
        met = 2
        await stage.db.fetch(WRITE, -1)
    await stage.db.execute("alter type pair add attribute c int")
    try:
        error = await refused(stage.db.fetch(WRITE, number), ResultUnreadable)
        is_servers = isinstance(error.__cause__, asyncpg.OutdatedSchemaCacheError)
        expect(holds=is_servers, goal="M6", text=f"its cause is {error.__cause__!r}")
        expect_same(await _wide(stage, number), 1, "M4", "rows stored by a write that could not be read")
        expect_same(tuple(await stage.db.fetchval(WRITE, -2)), (1, 2, None), "M3", "what the next write returns")
    finally:
        await stage.db.execute("alter type pair drop attribute c")
    return met


async def _wide(stage: Stage, number: int) -> int:
    count: int = await stage.db.fetchval("select count(*) from wide where i = $1", number)
    return count


@case(52, LONE, is_harmless=False)
async def deallocated(stage: Stage) -> int:
    """One call is told, and its connection is closed; the next has a new one."""
    sql = "select $1::int + 52"
    await stage.db.fetchval(sql, 1)
    closed = stage.db.stats().discarded_total
    await stage.db.execute(stage.rng.choice(["deallocate all", "discard all"]))
    error = await refused(stage.db.fetchval(sql, 2), asyncpg.InvalidSQLStatementNameError)
    expect_same(await stage.db.fetchval(sql, 3), 55, "M3", "the next caller's answer")
    expect_same(stage.db.stats().discarded_total, closed + 1, "M10", "connections closed")
    return int(getattr(error, "sqlstate", "") == "26000")
