"""A job whose chunks are stored by the workers of a cluster, while this process reads its source and holds it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from dbpool.bulk.access import Access
from dbpool.bulk.jobs.hold import Hold
from dbpool.bulk.jobs.ledger import sessions_called
from dbpool.bulk.jobs.storing import Target
from dbpool.cluster.connect import Connect, SameSettings
from dbpool.cluster.engine import Engine
from dbpool.cluster.shares import Shares
from dbpool.cluster.worker import Grant
from dbpool.core.shares import Division
from dbpool.errors import UsageError
from dbpool.finish import finish
from dbpool.settings import whole_number


@asynccontextmanager
async def spread(
    cluster: object,
    access: Access,
    connections: int | None,
    connect: Connect | None,
    chunks: int,
    target: Target,
    hold: Hold,
) -> AsyncIterator[Shares]:
    """What stores units by the workers of *cluster*, for the length of the block; see ``Job.run_on``."""
    budget = access.most if connections is None else whole_number(connections, "connections", 2)
    if budget < 2:
        raise UsageError("run_on needs 2 connections: one for this process, one for a worker; give connections=")
    whole_number(chunks, "chunks", 1)
    engine = await Engine.to(cluster)
    try:
        connects = connect or SameSettings.of(access.settings, is_private=engine.is_private)
        run, prefix = uuid4().hex[:8], f"dbpool job {target.job_id} "

        def grant(number: int) -> Grant:
            return Grant(f"{prefix}{run} {number}", target.job_id, run, division.each, target, connects)

        async def left_over(known: set[str]) -> int:
            async with hold.connection() as connection:
                return sum(count for name, count in await sessions_called(connection, prefix) if name not in known)

        division = Division.among(budget - 1, max(1, len(await engine.workers())))
        shares = Shares(engine, division, grant, left_over, chunks)
        shares.start()
        try:
            yield shares
        finally:
            await finish(shares.end())
    finally:
        await finish(engine.close())
