"""create_pool: what programs read of asyncpg's pool, though it is private, says the same of ours."""

from __future__ import annotations

from typing import Any

import asyncpg

from tests.support.both import Create, both, opened
from tests.support.databases import Database

SETTINGS = ["_connect", "_connect_args", "_connect_kwargs", "_connection_class", "_initsize", "_minsize", "_maxsize"]
SETTINGS += ["_init", "_max_inactive_connection_lifetime", "_max_queries", "_record_class", "_reset", "_setup"]
STATE = ["_closed", "_generation", "_initialized", "_initializing", "_maintenance_task"]


def inside(pool: Any, names: list[str]) -> dict[str, object]:  # noqa: ANN401
    return {name: getattr(pool, name) for name in names}


@both
async def test_its_settings_are_those_that_it_was_made_with(create: Create, database: Database) -> None:
    async def hook(_: object) -> None:
        pass

    options = {"setup": hook, "reset": hook, "max_queries": 7, "ssl": False}
    async with (
        opened(asyncpg.create_pool, database, 3, **options) as theirs,
        opened(create, database, 3, **options) as ours,
    ):
        assert inside(ours, SETTINGS) == inside(theirs, SETTINGS)
        for pool in (theirs, ours):
            pool.set_connect_args(database.dsn, command_timeout=3)
        assert inside(ours, SETTINGS) == inside(theirs, SETTINGS)


@both
async def test_its_state_is_told_all_along(create: Create, database: Database) -> None:
    seen: list[dict[str, object]] = []

    async def init(_: object) -> None:
        seen.append(inside(pool, STATE))

    pool = create(database.dsn, min_size=1, max_size=2, init=init)
    seen.append(inside(pool, STATE))
    assert inside(pool, ["_queue"]) == {"_queue": None}
    await pool
    await pool.expire_connections()
    seen.append(inside(pool, STATE))
    await pool.close()
    seen.append(inside(pool, STATE))
    rest = {"_maintenance_task": None}
    assert seen == [
        {"_closed": False, "_generation": 0, "_initialized": False, "_initializing": False, **rest},
        {"_closed": False, "_generation": 0, "_initialized": False, "_initializing": True, **rest},
        {"_closed": False, "_generation": 1, "_initialized": True, "_initializing": False, **rest},
        {"_closed": True, "_generation": 1, "_initialized": True, "_initializing": False, **rest},
    ]


@both
async def test_its_queue_has_a_place_for_each_connection_that_nobody_holds(create: Create, database: Database) -> None:
    async with opened(create, database, 3) as pool:
        queue: Any = inside(pool, ["_queue"])["_queue"]
        assert (queue.qsize(), queue.full(), queue.maxsize) == (3, True, 3)
        async with pool.acquire():
            assert (queue.qsize(), queue.full()) == (2, False)
            async with pool.acquire(), pool.acquire():
                assert (queue.qsize(), queue.empty()) == (0, True)
        assert queue.qsize() == 3
