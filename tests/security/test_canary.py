"""A password is in nothing that a pool with a server tells, however its statements and connects end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dbpool import DatabasePool, DbPoolError, MigrationError, ServerUnavailable, migrate
from dbpool.testing import FaultProxy, proxy_before
from dbpool.web import status_app
from tests.cli.tool import run
from tests.rigs.security.addresses import CANARY
from tests.rigs.security.said import everything_logged, of_error, of_pool
from tests.support.asgiclient import ask
from tests.support.databases import Database
from tests.support.pools import dsn_with, pool_of, role_in
from tests.telemetry.collected import Collected

BAD = [
    ("selec", ()),
    ("select 1/0", ()),
    ("select $1::int", ("x",)),
    ("select pg_terminate_backend(pg_backend_pid())", ()),
]


def of_frames(error: BaseException) -> str:
    """What is shown of *error*, but for the frame of the test that has caught it, which holds the address."""
    theirs = error.__traceback__.tb_next if error.__traceback__ else None
    return of_error(error.with_traceback(theirs), with_locals=True)


async def refuse(proxy: FaultProxy) -> None:
    await proxy.refuse()
    proxy.end_all()


async def stall(proxy: FaultProxy) -> None:
    proxy.stall()


async def test_of_statements_that_fail_no_log_error_trace_metric_or_page_says_it(database: Database) -> None:
    asyncio.get_running_loop().set_debug(True)
    collected, said = Collected(), []
    with everything_logged() as log:
        async with role_in(database, password=CANARY) as dsn, pool_of(dsn, 2) as db:
            from dbpool.telemetry import instrument

            with instrument(
                db, tracer_provider=collected.traces, meter_provider=collected.meters, record_parameters=True
            ):
                for sql, args in BAD:
                    with pytest.raises(Exception) as caught:
                        await db.fetch(sql, *args)
                    said.append(of_frames(caught.value))
                async with db.acquire() as connection:
                    said += [repr(connection), str(connection)]
                said += [of_pool(db), (await ask(status_app(db), "GET", "/status.json")).text]
            said += [span.to_json() for span in collected.spans()] + [repr(collected.metrics())]
            assert len(collected.spans()) >= len(BAD)
        said.append(log.take())
    collected.close()
    assert [text for text in said if CANARY in text] == []


@pytest.mark.parametrize(
    ("words", "is_right"), [(("doctor",), True), (("query", "select 1/0"), True), (("migrate", "current"), False)]
)
async def test_no_command_says_it(database: Database, words: tuple[str, ...], is_right: bool) -> None:
    async with role_in(database, password=CANARY if is_right else "other") as dsn:
        _, out, err = await run(*words, dsn=dsn_with(dsn, user=f"role_of_{database.name}", password=CANARY))
    assert out + err
    assert CANARY not in out + err


async def test_what_an_error_tracker_shows_of_frames_does_not_say_it(database: Database) -> None:
    async with role_in(database, password="other") as dsn:
        db = DatabasePool(dsn_with(dsn, user=f"role_of_{database.name}", password=CANARY))
        del dsn
        with pytest.raises(DbPoolError) as caught:
            await db.open()
        error = caught.value
    assert error.__traceback__ is not None
    assert "password authentication failed" in str(error)
    assert CANARY not in of_error(error, with_locals=True)


async def test_nor_does_what_it_shows_of_the_drivers_where_a_migration_cannot_connect() -> None:
    with pytest.raises(MigrationError, match="cannot connect") as caught:
        await migrate.upgrade(f"postgresql://app:{CANARY}@127.0.0.1:1/shop")
    assert "ConnectionParameters" not in of_frames(caught.value)


@pytest.mark.parametrize("fault", [refuse, stall])
async def test_a_listen_that_fails_does_not_say_it(
    database: Database, fault: Callable[[FaultProxy], Awaitable[None]]
) -> None:
    async with (
        role_in(database, password=CANARY) as dsn,
        proxy_before(dsn) as proxy,
        pool_of(proxy.dsn(), 1, connect_timeout=0.5) as db,
    ):
        await fault(proxy)
        with pytest.raises(ServerUnavailable, match="cannot listen") as caught:
            await db.listen("orders").__aenter__()
        await proxy.heal()
    assert CANARY not in of_frames(caught.value)


@pytest.mark.parametrize("fault", [refuse, stall])
async def test_a_pool_that_cannot_join_its_fleet_does_not_say_it(
    database: Database, fault: Callable[[FaultProxy], Awaitable[None]]
) -> None:
    async with role_in(database, password=CANARY) as dsn, proxy_before(dsn) as proxy:
        db = DatabasePool(proxy.dsn(), fleet_budget=24, fleet_members=4, connect_timeout=0.5)
        await fault(proxy)
        with pytest.raises(ServerUnavailable, match="cannot join its fleet") as caught:
            await db.open()
    assert CANARY not in of_frames(caught.value)
