"""What is asked of a Dask client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import distributed
import pytest

from dbpool.cluster.engine import Engine
from tests.support.clusters import Cluster, cluster_of
from tests.support.pools import until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with cluster_of(2) as made:
        yield made


async def test_a_result_that_is_not_waited_for_any_more_leaves_the_others_alone(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is lost must not end what others do: the client asks for results together."""
    make: Any = distributed.Client
    engine = Engine(client := await make(cluster.address, asynchronous=True, set_as_default=False))
    asks, may_ask = client._gather_remote, asyncio.Event()  # noqa: SLF001

    async def one() -> int:
        return 1

    async def asks_later(*args: object) -> object:
        await may_ask.wait()
        return await asks(*args)

    async def are_asked_for_together() -> bool:
        return len(vars(client)["_gather_keys"] or ()) == 2

    monkeypatch.setattr(client, "_gather_remote", asks_later)
    try:
        address, *_ = await engine.workers()
        given_up, wanted = (asyncio.create_task(engine.result_of(address, key, one)) for key in ("a", "b"))
        await until(are_asked_for_together, 30)
        given_up.cancel()
        await asyncio.wait([given_up])
        may_ask.set()
        async with asyncio.timeout(30):
            assert await wanted == 1
        assert given_up.cancelled()
    finally:
        await engine.close()


async def test_a_process_that_was_started_again_is_another_worker(cluster: Cluster) -> None:
    """Though it has the name of the one before, and may have its address."""
    engine = await Engine.to(cluster.address)
    try:
        before = await engine.workers()
        assert len(before) == 2
        await cluster.restart()
        after = await engine.workers()
        assert len(after) == 2
        assert not set(before.values()) & set(after.values())
    finally:
        await engine.close()
