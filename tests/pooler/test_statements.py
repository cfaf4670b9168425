"""Whatever two clients ask over one server connection, each gets its own rows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from dbpool import DatabasePool
from tests.support.pgbouncer import OLD_PROGRAM, PROGRAM, bouncer
from tests.support.pools import pool_of
from tests.support.server import Server

UNFOLLOWED = [(OLD_PROGRAM, {}), (PROGRAM, {"max_prepared_statements": 0})]
ALL = [*UNFOLLOWED, (PROGRAM, {})]
TEXTS = 40


async def ask_what_differs(db: DatabasePool, own: int, times: int) -> int:
    """Run statements of many texts, of the same texts as others with other columns, and look at every answer."""
    chance = random.Random(own)
    for n in range(times):
        text = chance.randrange(TEXTS)
        match n % 4:
            case 0:
                row = await db.fetchrow(f"select $1::int + {own} as c{text}, 'x{own}'::text as d", n)
                assert row is not None
                assert dict(row) == {f"c{text}": n + own, "d": f"x{own}"}
            case 1:
                rows = await db.fetch(f"select g, {own} from generate_series(1, $1::int) g -- {text}", text)
                assert [tuple(each) for each in rows] == [(g, own) for g in range(1, text + 1)]
            case 2:
                async with db.transaction() as tx:
                    assert await tx.fetchval(f"select array[{own}, $1::int, {text}]", n) == [own, n, text]
                    assert await tx.fetchval("select $1::text", f"{own} {n}") == f"{own} {n}"
            case 3:
                assert await db.fetchval(f"select $1::text || '-{own}'", str(n), coalesce=True) == f"{n}-{own}"
    return times


@pytest.mark.every_loop
@pytest.mark.parametrize(("program", "settings"), ALL)
async def test_two_pools_over_one_server_connection_never_get_each_others_rows(
    program: str, settings: dict[str, object], server: Server
) -> None:
    async with (
        bouncer(server.dsn(), program, default_pool_size=1, **settings) as pooler,
        pool_of(pooler.address, 4, name="one") as one,
        pool_of(pooler.address, 4, name="other") as other,
    ):
        asked = [ask_what_differs(db, own, 40) for own, db in enumerate([one, other] * 4, 1)]
        assert sum(await asyncio.gather(*asked)) == 320
        assert one.stats().discarded_total == other.stats().discarded_total == 0


@pytest.mark.parametrize(("program", "settings"), UNFOLLOWED)
async def test_no_name_is_given_to_any_statement(program: str, settings: dict[str, object], server: Server) -> None:
    async with (
        bouncer(server.dsn(), program, default_pool_size=1, **settings) as pooler,
        pool_of(pooler.address, 2) as db,
    ):
        work: list[Coroutine[Any, Any, object]] = [
            ask_what_differs(db, 1, 8),
            db.executemany("select $1::int", [(n,) for n in range(5)]),
            db.fetchval("select $1::inet[]", ["::1"]),  # of a type that the driver asks for
        ]
        await asyncio.gather(*work)
        assert [row async for row in db.stream("select 1")]
        assert [each async for each in db.map_val("select $1::int", range(3))] == [(n, n, None) for n in range(3)]
        async with db.acquire() as connection:
            statement = await connection.prepare("select $1::int")
            assert [await statement.fetchval(n) for n in range(3)] == [0, 1, 2]
        assert await db.fetchval("select count(*) from pg_prepared_statements where name <> ''") == 0


@pytest.mark.parametrize(("program", "settings"), ALL)
async def test_a_statement_whose_arguments_do_not_fit_leaves_no_server_connection_held(
    program: str, settings: dict[str, object], server: Server
) -> None:
    async with (
        bouncer(server.dsn(), program, default_pool_size=1, **settings) as pooler,
        pool_of(pooler.address, 2) as db,
    ):
        for _ in range(5):
            with pytest.raises(Exception, match="invalid input for query argument"):
                await db.fetchval("select $1::int", "seven")
        answers = await asyncio.gather(*(db.fetchval("select $1::int", n) for n in range(4)))
        assert answers == [0, 1, 2, 3]


async def test_what_the_driver_sets_to_ask_for_types_stays_in_no_session(server: Server) -> None:
    async with (
        bouncer(server.dsn(), OLD_PROGRAM, default_pool_size=2) as pooler,
        pool_of(pooler.address, 4) as db,
    ):
        await asyncio.gather(*(db.fetchval(f"select array[$1::{kind}]", None) for kind in ("aclitem", "xid8", "cid")))
        seen = await asyncio.gather(
            *(db.fetchval("select current_setting('jit') from pg_sleep(0.01)") for _ in range(8))
        )
        assert len(set(seen)) == 1
