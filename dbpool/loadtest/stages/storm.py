"""Storm: many connect at once, a pool starts empty or loses all it has, more come than are let in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

from dbpool.core.loadtest.stormplan import StormPlan, storm_plan
from dbpool.loadtest.drivers.protocol import now_ns
from dbpool.loadtest.load import POOLS, DriverName, Load, Target
from dbpool.loadtest.pointjson import durations_json
from dbpool.loadtest.server.census import Census
from dbpool.loadtest.server.connecting import CONNECT_ERRORS, application_name, close, connect, ensure_gone
from dbpool.loadtest.server.crowd import Crowd, Door
from dbpool.loadtest.server.limits import Limits
from dbpool.loadtest.stages.bystander import Bystander
from dbpool.loadtest.stages.refill import Refill, cold, kill
from dbpool.loadtest.stages.stand import Stand
from dbpool.loadtest.stages.stopping import unless_stopped
from dbpool.loadtest.stages.stormparts import Part, crowd_part, refill_part

ALONE_S: Final = 5.0
REST_S: Final = 3.0  # after each part, to see whether all is as before
LOAD_S: Final = 6.0  # of a pool that fills: enough for what it did before, or does afterwards
ROUNDS: Final = 3  # at least, of those who connect at once: the first meets a server that had nothing to do
ROUNDS_S: Final = 3.0  # and for so long, that the bystander has something to feel
PATIENCE_S: Final = 30.0  # of those who come again

Work: TypeAlias = Callable[[], Awaitable[Part | None]]
Fill: TypeAlias = Callable[[Stand, Census, Target, Load], Awaitable[Refill]]


def plan_for(limits: Limits, *, connections: int | None, most: int | None, is_forced: bool) -> StormPlan:
    """Who would connect at once to a server with such *limits*; the rest is as ``storm`` has it."""
    return storm_plan(
        free=limits.free,
        room=limits.free if is_forced else limits.cap if most is None else most,
        is_alone=is_forced or not limits.others,
        is_pooled=limits.is_pooled,
        asked=connections,
        most=None if is_forced else most,
    )


async def storm(
    stand: Stand,
    *,
    size: int,
    connections: int | None = None,
    most: int | None = None,
    is_forced: bool = False,
    alone_s: float = ALONE_S,
    rest_s: float = REST_S,
    rounds_s: float = ROUNDS_S,
    load_s: float = LOAD_S,
) -> dict[str, Any]:
    """Do to a server what an application does that starts, breaks or grows beyond its limit, and look who suffers.

    Meanwhile a bystander goes on, whose transactions are those of the run, ten a second on a connection of its own.
    Parts: ``barrier``, *connections* connect at once, again and again; ``cold``, a pool of *size* without a connection
    is loaded by as many clients; ``kill``, all its sessions are ended under load; ``beyond``, more connect than there
    are free, and come again until served. What would take connections that others may need is left out, and noted.
    Where the stand's driver has no pool, the pool is a DatabasePool.

    Args:
        connections: who connect at once; None: 100, or as many as there is room for.
        most: connections to take in all, the part beyond the limit included; None: the limits' cap, and that part
            where nobody else is there.
        is_forced: others may be refused.
        alone_s: how long the bystander is alone, at the begin.
        rest_s: how long it is after each part.
        rounds_s: how long rounds of the barrier begin, three at least.
        load_s: how long a pool is loaded.
    Returns: the section ``storm`` of the document; of parts that were stopped there is nothing.
    Raises:
        WorkerFailed: a worker cannot connect.
        asyncpg's errors: the connection that counts the sessions was refused, or lost.
    Cancelling: ends all that is connected.
    """
    plan = plan_for(stand.limits, connections=connections, most=most, is_forced=is_forced)
    seconds = alone_s + rounds_s + 2 * load_s + stand.load.warmup_s + 4 * rest_s
    stand.begin("storm", f"{plan.barrier} at once, a pool of {size}, {plan.beyond} beyond the limit", seconds=seconds)
    for note in plan.notes:
        stand.note("note", "storm", note)
    parts: list[Part] = []
    try:
        async with Bystander(stand) as bystander:
            begin_ns = now_ns()
            await unless_stopped(stand, asyncio.sleep(alone_s))
            alone_ns = now_ns()
            for work in _works(stand, plan, size, rounds_s=rounds_s, load_s=load_s):
                part = None if stand.is_stopped else await work()
                if part is None:
                    break
                parts.append(part)
                await unless_stopped(stand, asyncio.sleep(rest_s))
                part.rested_ns = now_ns()
    finally:
        await _clear(stand)
    alone = bystander.felt(begin_ns, alone_ns)
    return {"alone": durations_json(alone.responses), "parts": [part.as_json(bystander, alone) for part in parts]}


def _works(stand: Stand, plan: StormPlan, size: int, *, rounds_s: float, load_s: float) -> list[Work]:
    limits, name = stand.limits, application_name(stand.run_id, "storm")
    door = Door(stand.dsn, name, role=limits.role, database=limits.database)
    target = stand.target(size, driver=stand.driver if stand.driver in POOLS else DriverName.DBPOOL)
    load = replace(stand.load, time_s=load_s, limit_s=None)

    async def barrier() -> Part | None:
        crowds: list[Crowd] = []
        until_ns = now_ns() + round(rounds_s * 1e9)
        while len(crowds) < ROUNDS or now_ns() < until_ns:
            if (crowd := await unless_stopped(stand, door.rush(plan.barrier))) is None:
                return None
            crowds.append(crowd)
        return crowd_part("barrier", crowds)

    async def beyond() -> Part | None:
        crowd = await unless_stopped(stand, door.serve(plan.beyond, patience_s=PATIENCE_S))
        return None if crowd is None else crowd_part("beyond", [crowd])

    async def refilled(name: str, fill: Fill) -> Part | None:
        async with _census(stand, target) as census:
            refill = await fill(stand, census, target, load)
        return None if stand.is_stopped else refill_part(name, refill)

    works: list[Work] = [barrier] if plan.barrier else []
    if not limits.is_pooled:  # whose sessions are whose cannot be told
        works += [partial(refilled, "cold", cold), partial(refilled, "kill", kill)]
    return [*works, beyond] if plan.beyond else works


@asynccontextmanager
async def _census(stand: Stand, target: Target) -> AsyncIterator[Census]:
    session = await connect(stand.dsn, application_name(stand.run_id, "census"))
    try:
        yield Census(session, target.application_name)
    finally:
        await close(session)


async def _clear(stand: Stand) -> None:
    """See off every session of the storm."""
    if not stand.limits.is_pooled:  # a pooler keeps what it has opened
        with suppress(*CONNECT_ERRORS):
            await ensure_gone(stand.lifeline, application_name(stand.run_id, "storm"))
