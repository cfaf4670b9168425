"""A server that has no room: for this role, for ordinary ones, or for anybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest

from dbpool import DatabasePool, QueryTimeout, ServerUnavailable
from dbpool.embedded import EmbeddedPostgres
from dbpool.testing.addresses import dsn_with
from tests.support.pools import PATIENCE_S, pool_of, witness_of

SETTINGS = {"max_connections": "12", "reserved_connections": "2", "superuser_reserved_connections": "3"}
ORDINARY = 12 - 2 - 3


@pytest.fixture(scope="module")
def small() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(settings=SETTINGS) as server:
        asyncio.run(_make_roles(server.dsn()))
        yield server


async def _make_roles(dsn: str) -> None:
    async with witness_of(dsn) as witness:
        await witness.run("create role ordinary login; create role limited login connection limit 0")


@asynccontextmanager
async def filled(dsn: str, most: int = 20) -> AsyncIterator[int]:
    """So many sessions of somebody else, or as many as there is room for."""
    others = []
    with suppress(asyncpg.TooManyConnectionsError):
        for _ in range(most):
            others.append(await asyncpg.connect(dsn))  # noqa: PERF401 - what was opened before it fails counts
    try:
        yield len(others)
    finally:
        for each in others:
            await each.close(timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("user", "filled_by", "limit"),
    [
        ("limited", None, "the CONNECTION LIMIT of its role"),
        ("ordinary", "ordinary", "the server's max_connections, less what it reserves for others"),
        ("ordinary", "postgres", "the server's max_connections"),
    ],
)
async def test_which_limit_it_was_is_told(
    small: EmbeddedPostgres, user: str, filled_by: str | None, limit: str
) -> None:
    other = dsn_with(small.dsn(), user=filled_by or "postgres", password="")
    async with filled(other, 20 if filled_by else 0):
        db = DatabasePool(dsn_with(small.dsn(), user=user, password=""), 4, outage_patience=0.1)
        with pytest.raises(ServerUnavailable, match=f"TooManyConnectionsError.*The limit is {limit}: see"):
            await db.open()


async def test_callers_are_served_with_what_there_is_room_for_and_few_connects_are_tried(
    small: EmbeddedPostgres,
) -> None:
    mine = dsn_with(small.dsn(), user="ordinary", password="")
    async with filled(mine, ORDINARY - 2), pool_of(mine, 10, outage_patience=60.0) as db:
        assert await asyncio.gather(*(db.fetchval("select $1::int", n) for n in range(200))) == list(range(200))
        stats = db.stats()
        assert stats.connections <= 2
        assert stats.connect_failures_total <= 5  # one is tried at a time, ever more rarely


async def test_statements_are_stopped_though_the_server_is_full(small: EmbeddedPostgres) -> None:
    mine = dsn_with(small.dsn(), user="ordinary", password="")
    async with pool_of(mine, 3, min_connections=3) as db:
        await asyncio.gather(*(db.fetchval("select pg_sleep(0.05)") for _ in range(3)))
        async with filled(small.dsn()) as others:
            assert others >= 12 - 3 - 1
            calls = (db.fetchval("select pg_sleep(60)", timeout=0.2) for _ in range(3))
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(each) for each in ended] == [QueryTimeout] * 3
            assert await db.fetchval("select 1") == 1
            assert db.stats().connections == 3  # none was lost
