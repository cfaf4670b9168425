"""create_pool: errors arrive as they were raised."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

import dbpool
from tests.support.both import Create, both, opened
from tests.support.databases import Database
from tests.support.pools import witness_of


class Late(TimeoutError):
    """A time-out of a user's own."""


@both
async def test_the_servers_reason_for_ending_a_statement_is_the_errors_cause(
    create: Create, database: Database
) -> None:
    async with opened(create, database) as pool, witness_of(database) as witness:
        for _ in range(2):  # at first it is not prepared
            async with witness.holding():
                statement = asyncio.create_task(pool.fetchval("select pg_advisory_xact_lock(1)"))
                await witness.terminate(*await witness.until_blocked())
                with pytest.raises(asyncpg.ConnectionDoesNotExistError) as caught:
                    await statement
            assert isinstance(caught.value.__cause__, asyncpg.AdminShutdownError)
            await pool.fetchval("select pg_advisory_xact_lock(1)")


@both
@pytest.mark.parametrize("moment", ["connect", "init", "setup", "reset"])
@pytest.mark.parametrize(
    "error", [Late("mine"), TimeoutError(110, "timed out"), dbpool.PoolClosed("another pool"), dbpool.UsageError("x")]
)
async def test_what_a_hook_raises_arrives_itself(
    create: Create, database: Database, moment: str, error: Exception
) -> None:
    calls: list[int] = []

    async def hook(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        calls.append(1)
        if len(calls) == 1:
            raise error
        return await asyncpg.connect(*args, **options) if moment == "connect" else None

    hooks: dict[str, Any] = {moment: hook}
    async with opened(create, database, **hooks) as pool:
        with pytest.raises(type(error)) as caught:
            async with pool.acquire(timeout=20):
                pass
        assert caught.value is error
        assert await pool.fetchval("select 1") == 1
        assert error.__cause__ is None


@both
@pytest.mark.parametrize("moment", ["connect", "init", "setup"])
async def test_it_arrives_itself_from_a_one_shot_too(create: Create, database: Database, moment: str) -> None:
    error = dbpool.PoolClosed("another pool")

    async def hook(*_: object, **__: object) -> None:
        raise error

    hooks: dict[str, Any] = {moment: hook}
    async with opened(create, database, **hooks) as pool:
        with pytest.raises(dbpool.PoolClosed) as caught:
            await pool.fetchval("select 1")
        assert caught.value is error
