"""The part of a Dask client that is needed here."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from dbpool.errors import JobError, UsageError
from dbpool.finish import finish

T = TypeVar("T")

CONNECT_S = 10.0
CALL_S = 30.0  # for a worker to import this package, or to close its pool
CLOSE_S = 5.0


class Engine:
    """A connection to a scheduler, in the running event loop, of its own: the caller's client may be in another."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - distributed is an extra
        self._client = client
        self.address: str = client.scheduler.address

    @classmethod
    async def to(cls, cluster: object) -> Self:
        """Connect to the scheduler of a ``distributed.Client``, or at an address.

        Raises:
            JobError: nobody answers there.
            UsageError: *cluster* is neither.
            ImportError: distributed is not installed.
        """
        try:
            import distributed
            from distributed.comm.addressing import resolve_address
        except ImportError as error:
            raise ImportError("a job on a cluster needs distributed: pip install 'dbpool[dask]'") from error
        make: Any = distributed.Client
        security = None
        if isinstance(cluster, make):
            theirs: Any = cluster
            if theirs.scheduler is None:
                raise UsageError("this distributed.Client is not connected: it was closed, or not awaited yet")
            cluster, security = theirs.scheduler.address, theirs.security
        if not isinstance(cluster, str):
            raise UsageError(
                f"run_on takes a distributed.Client or its scheduler's address, not {type(cluster).__name__}"
            )
        client: Any = None
        try:
            resolve_address(cluster)
            client = make(
                cluster, asynchronous=True, security=security, set_as_default=False, timeout=CONNECT_S, name="dbpool"
            )
            await client
        except BaseException as error:
            if client is not None:
                with suppress(Exception):
                    await finish(client.close(CLOSE_S))
            if isinstance(error, (OSError, ValueError, TypeError)):  # TypeError: tls:// without certificates
                raise JobError(f"no Dask scheduler answers at {cluster}: {error}") from error
            raise
        return cls(client)

    def is_private(self, *others: str) -> bool:
        """Whether what is sent by way of the scheduler and *others*, addresses too, nobody else can read."""
        return all(_is_private(address) for address in (self.address, *others))

    async def workers(self) -> dict[str, str]:
        """The workers that are there: their addresses, with what tells a process from a later one at the same address.

        Raises:
            OSError: the scheduler does not answer.
        """
        async with asyncio.timeout(CONNECT_S):
            found = await self._client.scheduler.identity(n_workers=-1)
        return {
            address: f"{worker['id']} {worker['local_directory']}"  # the directory is of its own for each process
            for address, worker in found["workers"].items()
            if worker["status"] == "running"
        }

    async def call(
        self, address: str, function: Callable[..., Awaitable[T]], *args: object, timeout: float = CALL_S
    ) -> T:
        """Run *function* in a worker's event loop, once.

        Raises:
            OSError: the worker is gone.
        """
        async with asyncio.timeout(timeout):
            answers = await self._client.run(function, *args, workers=[address])
        if address not in answers:
            raise ConnectionError(f"the worker at {address} is gone")
        answer: T = answers[address]
        return answer

    async def result_of(self, address: str, key: str, function: Callable[..., Awaitable[T]], *args: object) -> T:
        """The same as a task called *key*, which the scheduler's pages show, and may run again on that worker.

        Raises:
            TaskGone: the scheduler has forgotten the task, or is gone itself.
        Cancelling: the task is forgotten, but what is under way goes on.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")  # items are what is to be sent
            future = self._client.submit(
                function, *args, key=key, workers=[address], allow_other_workers=False, pure=False, retries=0
            )
        try:
            # Results that arrive together share one question to the scheduler, which cancelling one would end for all.
            result: T = await asyncio.shield(future.result())
            return result
        except CancelledError as error:  # concurrent.futures' own, not asyncio's
            raise TaskGone(str(error)) from error
        finally:
            future.release()  # a task that nobody wants any more is not begun

    async def close(self) -> None:
        await self._client.close(CLOSE_S)


class TaskGone(Exception):
    """The scheduler does not know a task any more."""


def _is_private(address: str) -> bool:
    parts = urlsplit(address)
    if parts.scheme in ("tls", "wss", "inproc"):
        return True
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
