"""A password is in nothing that a pool with a server tells, however its statements and connects end."""

from __future__ import annotations

import asyncio

import pytest

from dbpool import DatabasePool, DbPoolError
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
                    error = caught.value
                    theirs = error.__traceback__.tb_next if error.__traceback__ else None  # ours holds the address
                    said.append(of_error(error.with_traceback(theirs), with_locals=True))
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
