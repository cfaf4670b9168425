"""How servers and poolers are set up, as they say themselves."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from dbpool.embedded import EmbeddedPostgres
from dbpool.loadtest.server.connecting import close, lifeline
from dbpool.loadtest.server.console import console_at
from dbpool.loadtest.server.limits import read_limits
from dbpool.loadtest.server.limitsjson import limits_json
from dbpool.loadtest.server.memory import private_memory_mb
from dbpool.loadtest.server.pooler import limits_of, read_pooler
from dbpool.loadtest.server.serversettings import RECORDED, cores_of, read_settings
from tests.support.databases import Database
from tests.support.pgbouncer import OLD_PROGRAM, PROGRAM, console_of, pgbouncer
from tests.support.pools import role_in
from tests.support.server import Server


async def test_settings_are_read_as_they_hold_for_the_session(database: Database) -> None:
    session = await lifeline(database.dsn, "run")
    await session.execute("set work_mem to '7MB'; set statement_timeout to '90s'")
    settings = await read_settings(session)
    shown = {name: await session.fetchval("select current_setting($1)", name) for name in RECORDED}
    await close(session)
    assert settings == shown
    assert (settings["work_mem"], settings["statement_timeout"]) == ("7MB", "90s")


async def test_a_setting_that_a_role_may_not_see_is_unknown(database: Database) -> None:
    async with role_in(database) as dsn:
        session = await lifeline(dsn, "run")
        settings = await read_settings(session)
        await close(session)
    assert settings["shared_preload_libraries"] is None
    assert settings["fsync"] in ("on", "off")


async def test_the_cores_are_known_of_a_server_here_alone() -> None:
    with EmbeddedPostgres() as server:
        session = await lifeline(server.dsn(), "run")
        limits = await read_limits(session)
        cores, elsewhere = cores_of(session, limits), cores_of(session, replace(limits, is_local=False))
        await close(session)
    assert cores is not None
    assert 1 <= cores <= (os.cpu_count() or 1)
    assert elsewhere is None


async def test_the_memory_of_a_backend_here_is_its_own_alone() -> None:
    psutil = pytest.importorskip("psutil")
    with EmbeddedPostgres() as server:
        session = await lifeline(server.dsn(), "run")
        before = private_memory_mb([session.get_server_pid()])
        if before is None:
            pytest.skip("this user may not read it")
        await session.fetchval("select count(x) from (select array_agg(n) x from generate_series(1, 10) n) s")
        assert before < psutil.Process(session.get_server_pid()).memory_info().rss / (1 << 20)
        await close(session)
    assert private_memory_mb([os.getpid(), 2**22 + 1, -5]) is None  # no server, nobody, made up by a pooler
    assert private_memory_mb([]) is None


@pytest.mark.parametrize(("program", "prepared"), [(OLD_PROGRAM, None), (PROGRAM, 200)])
async def test_the_limits_of_a_pooler_are_in_the_document(server: Server, program: str, prepared: int | None) -> None:
    async with pgbouncer(server.admin, max_client_conn=23, program=program, pool_size=3) as dsn:
        session = await lifeline(dsn, "run")  # a database that all names lead to is listed from its first session on
        limits = await read_limits(session)
        async with console_at(console_of(dsn), "run") as console:
            assert console is not None
            pooler = await read_pooler(console)
        await close(session)
    assert limits_json(limits, None)["pooler"] is None
    assert limits_json(limits, None, pooler)["pooler"] == {
        "version": pooler.version,
        "max_client_conn": 23,
        "default_pool_size": 3,
        "reserve_pool_size": 0,
        "pool_mode": "transaction",
        "max_prepared_statements": prepared,
        "max_db_connections": None,
        "max_user_connections": None,
        "query_wait_timeout_s": 120,
        "databases": ({"name": "postgres", "pool_size": 3, "pool_mode": None, "max_connections": None},),
    }


def test_a_setting_that_a_version_does_not_have_is_unknown() -> None:
    limits = limits_of("1.5", {"max_client_conn": "100", "max_db_connections": "0", "query_wait_timeout": "0"}, [])
    assert (limits.max_client_conn, limits.default_pool_size, limits.max_db_connections) == (100, None, None)
    assert (limits.pool_mode, limits.query_wait_timeout_s) == (None, None)
