"""A job whose chunks are stored by the workers of a cluster, while this process reads its source and holds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from dbpool.bulk.access import Access
from dbpool.bulk.jobs.hold import Hold
from dbpool.bulk.jobs.ledger import JobRow, sessions_called
from dbpool.bulk.jobs.storing import Target
from dbpool.cluster.connect import Connect, SameSettings
from dbpool.cluster.engine import Engine
from dbpool.cluster.shares import LOOK_S, PATIENCE_S, Shares
from dbpool.cluster.worker import Grant
from dbpool.core.shares import Division
from dbpool.errors import JobError, UsageError
from dbpool.finish import finish
from dbpool.settings import whole_number


@dataclass(frozen=True, slots=True)
class Spreading:
    """How a job is spread; see ``Job.run_on``.

    Raises:
        UsageError, SettingsError: by what it is made of.
    """

    cluster: object
    access: Access
    connections: int | None
    connect: Connect | None
    chunks: int

    def __post_init__(self) -> None:
        whole_number(self.chunks, "chunks", 1)
        if self.connections is not None:
            whole_number(self.connections, "connections", 2)
        elif self.access.most < 2:
            raise UsageError("run_on needs 2 connections: one for this process, one for a worker; give connections=")

    @asynccontextmanager
    async def __call__(self, job: JobRow, target: Target, hold: Hold) -> AsyncIterator[Shares]:
        """What stores units by the workers, for the length of the block."""
        engine = await Engine.to(self.cluster)
        try:
            workers = await _first_workers(engine)
            connect = self.connect or SameSettings.of(self.access, is_private=engine.is_private(*workers))
            division = Division.among((self.connections or self.access.most) - 1, len(workers))
            run, prefix = uuid4().hex[:8], f"dbpool job {job.id} "

            def grant(number: int) -> Grant:
                which = f"{job.id} {job.name} {job.created_at.isoformat()}"
                return Grant(f"{prefix}{run} {number}", which, run, division.each, target, connect)

            async def left_over(known: set[str]) -> int:
                async with hold.connection() as connection:
                    return sum(count for name, count in await sessions_called(connection, prefix) if name not in known)

            is_secret = isinstance(connect, SameSettings) and connect.is_secret
            shares = Shares(engine, division, grant, left_over, self.chunks, is_secret=is_secret)
            shares.start()
            try:
                yield shares
            finally:
                await finish(shares.end())
        finally:
            await finish(engine.close())


async def _first_workers(engine: Engine) -> list[str]:
    """Those that are there, once one is."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while True:
        try:
            if found := await engine.workers():
                return list(found)
            why = "there is none"
        except (OSError, TimeoutError) as error:
            why = f"the scheduler does not answer: {str(error) or type(error).__name__}"
        if clock() - began > PATIENCE_S:
            raise JobError(f"no worker at {engine.address} for {PATIENCE_S:.0f} s: {why}")
        await asyncio.sleep(LOOK_S)
