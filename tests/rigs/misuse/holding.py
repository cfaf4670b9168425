"""Faults of sections D and E: connections that are asked for twice, forgotten, or left in the middle."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from dbpool import DatabasePool, PoolDeadlock
from dbpool.testing.leftovers import at_rest
from tests.rigs.misuse.cases import case, expect, expect_same, refused
from tests.rigs.misuse.kinds import CROWD, LONE, PAIR
from tests.rigs.misuse.stage import PATIENCE_S, Stage


@case(59, LONE)
async def asked_for_twice(stage: Stage) -> int:
    began = asyncio.get_running_loop().time()

    async def nested() -> None:
        async with stage.db.acquire():
            if stage.rng.random() < 0.5:
                await stage.db.fetchval("select 1")
            else:
                async with stage.db.acquire():
                    pass

    error = await refused(asyncio.create_task(nested()), PoolDeadlock)
    assert isinstance(error, PoolDeadlock)
    over_s = stage.over_s(began, 0)
    expect(holds=over_s <= 0, goal="M6", text=f"a deadlock was told {over_s:.3f} s late")
    expect(holds="nested" in error.waiting_at, goal="M6", text=f"it waits at {error.waiting_at}")
    expect(holds="nested" in error.held_at[0], goal="M6", text=f"it holds since {error.held_at}")
    return 1


@case(60, PAIR)
async def all_wait_for_a_second(stage: Stage) -> int:
    """The newest is told, the others are served."""
    began = asyncio.get_running_loop().time()
    met = asyncio.Barrier(stage.kind.bound)

    async def nested() -> str:
        async with stage.db.acquire():
            await met.wait()
            async with stage.db.acquire():
                return "served"

    ends = await asyncio.gather(*(nested() for _ in range(stage.kind.bound)), return_exceptions=True)
    told = [end for end in ends if end != "served"]
    expect_same(len(told), 1, "M1", f"who was told, of {ends}")
    expect(holds=isinstance(told[0], PoolDeadlock), goal="M6", text=f"{told[0]!r} instead of PoolDeadlock")
    over_s = stage.over_s(began, 0)
    expect(holds=over_s <= 0, goal="M6", text=f"a deadlock was told {over_s:.3f} s late")
    return 1


@case(61, CROWD)
@case(61, LONE)
async def forgotten(stage: Stage) -> int:
    """It comes back, reset, and is told once."""
    before = stage.reclaimed
    await _forget(stage.db)
    expect(holds=await at_rest(stage.db, PATIENCE_S), goal="M1", text="a connection that nobody has is not back")
    expect_same(stage.reclaimed, before + 1, "M1", "connections taken back and told")
    name = await stage.db.fetchval("show application_name")
    expect(holds=name != "forgotten", goal="M10", text="the next caller has the application_name of the one before")
    return 1


async def _forget(db: DatabasePool) -> None:
    connection = await db.acquire()
    await connection.execute("set application_name = 'forgotten'")


@case(62, CROWD)
@case(62, LONE)
async def left_in_the_middle(stage: Stage) -> int:
    """The connection comes back as the stream is closed, or is forgotten."""
    sql, prefetch = "select generate_series(1, 100000)", stage.rng.randint(1, 50)
    first = None
    if stage.rng.random() < 0.5:
        async with aclosing(stage.db.stream(sql, prefetch=prefetch)) as rows:
            async for row in rows:
                first = row[0]
                break
    else:
        async for row in stage.db.stream(sql, prefetch=prefetch):
            first = row[0]
            break
    expect_same(first, 1, "M3", "the first row of a stream")
    expect(holds=await at_rest(stage.db, PATIENCE_S), goal="M1", text="a stream that was left is still there")
    return 1
