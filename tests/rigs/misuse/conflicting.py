"""Faults of section D: transactions that are in each other's way."""

from __future__ import annotations

import asyncio

import asyncpg

from dbpool import Transaction, TransactionFailed
from tests.rigs.misuse.cases import case, expect, expect_same, refused
from tests.rigs.misuse.kinds import CROWD, PAIR
from tests.rigs.misuse.stage import Stage

SETUP = "create table counted (a int primary key, b bigint); insert into counted values (1, 0), (2, 0), (3, 0)"
SUM = "select sum(b)::bigint from counted"


async def _conflict(stage: Stage, first: tuple[str, str], second: tuple[str, str], isolation: str | None) -> int:
    """Two transactions in step, until each has done its first half; how often one had to be run again."""
    met = asyncio.Barrier(2)
    tries = [0, 0]
    before = await stage.db.fetchval(SUM)

    async def work(tx: Transaction, number: int, halves: tuple[str, str]) -> None:
        tries[number] += 1
        await tx.fetch(halves[0])
        if tries[number] == 1:
            await met.wait()
        await tx.execute(halves[1])

    async with asyncio.TaskGroup() as group:
        for number, halves in enumerate((first, second)):
            run = stage.db.run(lambda tx, n=number, h=halves: work(tx, n, h), isolation=isolation)
            group.create_task(run)
    writes = 2 if isolation else 4
    expect_same(await stage.db.fetchval(SUM), before + writes, "M4", "the sum of what two transactions added")
    return sum(tries) - 2


@case(45, PAIR, setup=SETUP)
async def serialization_failure(stage: Stage) -> int:
    half = ("select * from counted", "update counted set b = b + 1 where a = 3")
    again = await _conflict(stage, half, half, "serializable")
    expect(holds=again > 0, goal="M5", text="both of two transactions that conflict were stored at once")
    return again


@case(45, PAIR, setup=SETUP)
async def deadlock(stage: Stage) -> int:
    one, two = (f"update counted set b = b + 1 where a = {a} returning b" for a in (1, 2))
    again = await _conflict(stage, (one, two), (two, one), None)
    expect(holds=again > 0, goal="M5", text="both of two transactions that lock each other out were stored at once")
    return again


@case(45, CROWD)
async def again_and_again(stage: Stage) -> int:
    number, tries = stage.number(), []

    async def work(tx: Transaction) -> None:
        tries.append(1)
        await tx.execute("insert into written values ($1)", number)
        await tx.execute("do $$ begin raise exception 'again' using errcode = '40001'; end $$")

    attempts = stage.rng.randint(1, 2)
    error = await refused(stage.db.run(work, attempts=attempts), TransactionFailed)
    assert isinstance(error, TransactionFailed)
    expect_same((len(tries), error.attempts), (attempts, attempts), "M6", "tries, and what the error tells of them")
    cause = error.__cause__
    expect(holds=isinstance(cause, asyncpg.SerializationError), goal="M6", text=f"its cause is {cause!r}")
    expect_same(await stage.stored(number), 0, "M5", "rows stored by a transaction that was given up")
    return len(tries)
