"""A Dask cluster on loopback: a scheduler and worker processes, which can be killed."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dask
import distributed

from dbpool import DatabasePool
from dbpool.events import ConnectFailed, Event
from tests.support.pools import until

# Nothing is written to disk.
SETTINGS = {"distributed.worker.memory.target": False, "distributed.worker.memory.spill": False}


class Cluster:
    """Worker processes with one thread each; those that end are started again, as Dask does it."""

    def __init__(self, cluster: Any) -> None:  # noqa: ANN401 - distributed is hardly typed
        self._cluster = cluster
        self.address: str = cluster.scheduler_address

    async def pids(self) -> dict[str, int]:
        """The workers' addresses and process ids."""
        make: Any = distributed.Client
        async with make(self.address, asynchronous=True, set_as_default=False) as client:
            pids: dict[str, int] = await client.run(os.getpid, on_error="ignore")
            return pids

    async def run(self, address: str, function: Callable[..., object], *args: object) -> None:
        """Run *function* in a worker's event loop."""
        make: Any = distributed.Client
        async with make(self.address, asynchronous=True, set_as_default=False) as client:
            await client.run(function, *args, workers=[address])

    async def restart(self) -> None:
        """Have every worker process replaced; tasks are forgotten."""
        make: Any = distributed.Client
        async with make(self.address, asynchronous=True, set_as_default=False) as client:
            await client.restart()

    async def kill(self, pid: int) -> None:
        """SIGKILL, which no process can do anything about; wait until the scheduler has noticed."""
        os.kill(pid, signal.SIGKILL)

        async def is_gone() -> bool:
            return pid not in (await self.pids()).values()

        await until(is_gone, 30)


@asynccontextmanager
async def cluster_of(workers: int) -> AsyncIterator[Cluster]:
    with dask.config.set(SETTINGS):
        make: Any = distributed.LocalCluster
        async with make(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            asynchronous=True,
        ) as cluster:
            yield Cluster(cluster)


def noting(path: Path, connections: int, application_name: str) -> DatabasePool:
    """What ``connect=`` gives a worker, in which each connect that fails leaves a line in the file at *path*."""
    dsn, path = (path / "dsn").read_text(), path / "failed"
    db = DatabasePool(dsn, connections, server_settings={"application_name": application_name})

    def note(event: Event) -> None:
        if isinstance(event, ConnectFailed):
            with path.open("a") as file:
                file.write(f"{event}\n")

    db.on_event(note)
    return db
