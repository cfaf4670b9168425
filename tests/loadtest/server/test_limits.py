"""Limits: what the server says, what opening connections finds, what safety forbids. On real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from dbpool.core.loadtest.refusals import Refusal
from dbpool.embedded import EmbeddedPostgres
from dbpool.loadtest.recording.tally import Outcome
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.server import connecting
from dbpool.loadtest.server.connecting import (
    CONNECT_ERRORS,
    PREFIX,
    Session,
    Unreachable,
    all_gone,
    application_name,
    close,
    connect,
    ensure_gone,
    lifeline,
    new_run_id,
)
from dbpool.loadtest.server.limits import Limits, read_limits
from dbpool.loadtest.server.opening import Found, open_to_limit
from dbpool.loadtest.server.safety import Refused, check_alone, check_room
from tests.support.databases import Database
from tests.support.loads import loaded, script
from tests.support.pgbouncer import pgbouncer
from tests.support.pools import dsn_with, role_in, until, witness_of
from tests.support.server import Server


@pytest.fixture(scope="module")
def small() -> Iterator[EmbeddedPostgres]:
    """A server for ten sessions, three of them reserved for superusers, two for a role."""
    settings = {"max_connections": "10", "superuser_reserved_connections": "3", "reserved_connections": "2"}
    with EmbeddedPostgres(settings=settings, listen=True) as server:
        yield server


@pytest.fixture
async def ordinary(small: EmbeddedPostgres) -> AsyncIterator[str]:
    """The address of an ordinary role on it."""
    async with witness_of(small.dsn()) as witness:
        await witness.run("create role ordinary login password 'pw'")
    yield dsn_with(small.dsn(), user="ordinary", password="pw")
    async with witness_of(small.dsn()) as witness:
        assert await until(lambda: _left_alone(witness.value))
        await witness.run("drop role ordinary")


async def _left_alone(value: object) -> bool:
    sql = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
    return not await value(sql)  # type: ignore[operator]


async def probed(dsn: str, *, most: int | None = None) -> tuple[Limits, Found]:
    run_id = new_run_id()
    session = await lifeline(dsn, run_id)
    try:
        limits = await read_limits(session)
        found = await open_to_limit(dsn, run_id, session, limits, most=most)
        assert await all_gone(session, application_name(run_id, "probe"), timeout_s=0.0)
        return limits, found
    finally:
        await close(session)


async def test_a_superuser_finds_max_connections(small: EmbeddedPostgres) -> None:
    limits, found = await probed(small.dsn())
    assert (limits.max_connections, limits.superuser_reserved, limits.reserved) == (10, 3, 2)
    assert (limits.is_superuser, limits.usable) == (True, 10)
    assert (found.refusal, found.label, found.reached) == (Refusal.SERVER_FULL, "53300.server_full", 10)
    assert "max_connections" in found.words
    assert len(found.connect_ms) == 9
    assert found.slot_reuse_ms is not None
    assert found.is_clean
    assert found.memory_mb is None or 0.2 < found.memory_mb < 100


async def test_an_ordinary_role_finds_the_reserved_slots(ordinary: str) -> None:
    limits, found = await probed(ordinary)
    assert (limits.is_superuser, limits.usable) == (False, 5)
    assert (found.refusal, found.label, found.reached) == (Refusal.RESERVED, "53300.reserved", 5)
    assert "reserved" in found.words


async def test_the_memory_of_backends_elsewhere_is_not_looked_for(small: EmbeddedPostgres) -> None:
    session = await lifeline(small.dsn(), "run")
    limits = replace(await read_limits(session), is_local=False)
    found = await open_to_limit(small.dsn(), "run", session, limits, most=2)
    await close(session)
    assert found.memory_mb is None


async def test_others_take_from_what_is_found(small: EmbeddedPostgres, ordinary: str) -> None:
    async with witness_of(small.dsn()):
        limits, found = await probed(ordinary)
    assert (limits.others, limits.free, limits.cap, found.reached) == (1, 4, 0, 4)


async def test_a_roles_limit_is_named(database: Database) -> None:
    async with role_in(database, limit=4) as dsn:
        limits, found = await probed(dsn)
        assert (limits.role_limit, limits.usable, limits.free) == (4, 4, 4)
        assert (found.refusal, found.label, found.reached) == (Refusal.ROLE_LIMIT, "53300.role_limit", 4)


async def test_a_databases_limit_is_named(database: Database) -> None:
    async with role_in(database) as dsn:
        async with witness_of(database) as witness:
            await witness.run(f'alter database "{database.name}" connection limit 3')
        limits, found = await probed(dsn)
        assert limits.database_limit == 3
        assert (found.refusal, found.label, found.reached) == (Refusal.DATABASE_LIMIT, "53300.database_limit", 3)


async def test_no_more_are_opened_than_allowed(database: Database) -> None:
    _, found = await probed(database.dsn, most=3)
    assert (found.refusal, found.reached, found.sqlstate, found.slot_reuse_ms) == (None, 4, None, None)


async def test_sessions_are_told_apart_by_name(database: Database) -> None:
    run_id = new_run_id()
    session = await lifeline(database.dsn, run_id)
    try:
        before = await read_limits(session)
        own = await connect(database.dsn, application_name(run_id, "probe"))
        async with witness_of(database) as witness:
            after = await read_limits(session)
            names = f"select application_name from pg_stat_activity where application_name like '{PREFIX}%' order by 1"
            assert await witness.rows(names) == [(f"{PREFIX}{run_id}/lifeline",), (f"{PREFIX}{run_id}/probe",)]
        other = await connect(database.dsn, application_name(new_run_id(), "load"))
        beside = await read_limits(session)
        await close(own)
        await close(other)
        assert after.others_of_database == before.others_of_database + 1
        assert beside.others_of_database == before.others_of_database + 1  # another load test's
    finally:
        await close(session)


async def test_a_server_that_is_not_there_is_a_sentence_without_the_password(database: Database) -> None:
    with pytest.raises(Unreachable) as caught:
        await lifeline("postgresql://someone:not-the-secret@127.0.0.1:1/none", "run")
    assert "not_listening" in str(caught.value)
    assert "not-the-secret" not in str(caught.value)
    with pytest.raises(Unreachable, match="denied") as caught:
        await lifeline(dsn_with(database.dsn, user="nobody_of_that_name", password="not-the-secret"), "run")
    assert "not-the-secret" not in str(caught.value)


async def test_a_socket_that_is_not_there_is_where_nobody_listens() -> None:
    with pytest.raises(Unreachable, match="not_listening"):
        await lifeline("postgresql://someone@/none?host=/tmp/no-such-folder-of-sockets", "run")


async def test_sessions_that_do_not_leave_are_ended(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "PATIENCE_S", 0.05)
    session = await lifeline(database.dsn, "run")
    ours = await connect(database.dsn, application_name("run", "load"))
    others = await connect(database.dsn, application_name("another", "load"))
    assert await ensure_gone(session, application_name("run", "load"))
    with pytest.raises(CONNECT_ERRORS):
        await ours.fetchval("select 1")
    assert await others.fetchval("select 1") == 1
    for each in (ours, others, session):
        await close(each)


def limits_of(*, others: int = 0, usable: int = 100) -> Limits:
    return Limits("18", 180000, "r", "d", False, True, False, usable, 0, 0, None, None, others, others, others)


def test_only_sessions_of_the_role_count_against_its_limit() -> None:
    limits = replace(limits_of(others=30), role_limit=20, others_of_role=4)
    assert (limits.usable, limits.free, limits.cap, limits.slots.free) == (20, 16, 11, 16)
    limits = replace(limits, database_limit=12, others_of_database=1)
    assert (limits.usable, limits.free, limits.cap) == (12, 11, 6)
    limits = replace(limits, is_superuser=True)
    assert (limits.usable, limits.free, limits.cap) == (100, 70, 60)


def test_a_load_leaves_a_tenth_and_what_others_hold() -> None:
    check_room(limits_of(others=3), 87, most=None, is_forced=False)
    with pytest.raises(Refused, match="87 may be taken"):
        check_room(limits_of(others=3), 88, most=None, is_forced=False)
    check_room(limits_of(others=3), 88, most=None, is_forced=True)
    check_room(limits_of(others=3), 88, most=88, is_forced=False)
    with pytest.raises(Refused, match="--max-connections allows 2"):
        check_room(limits_of(), 3, most=2, is_forced=False)


def test_nobody_else_may_be_there_when_all_connections_are_taken() -> None:
    check_alone(limits_of(), "--to-limit", is_forced=False)
    check_alone(limits_of(others=1), "--to-limit", is_forced=True)
    with pytest.raises(Refused, match="1 session of others is on"):
        check_alone(limits_of(others=1), "--to-limit", is_forced=False)


async def test_the_limit_of_a_pooler_is_named(server: Server) -> None:
    async with pgbouncer(server.admin, max_client_conn=6) as dsn:
        limits, found = await probed(dsn)
    assert limits.is_pooled
    assert found.memory_mb is None
    assert not limits.is_local
    assert (found.refusal, found.reached, found.is_clean) == (Refusal.POOLER_FULL, 6, True)
    assert "max_client_conn" in found.words


async def test_a_load_goes_through_a_pooler(server: Server) -> None:
    async with pgbouncer(server.admin, max_client_conn=20) as dsn:
        brought = await loaded(dsn, script("\\set a random(1, 9)\nselect 1 + :a", QueryMode.EXTENDED))
    assert not brought.total.errors
    assert brought.total.counts[Outcome.OK] > 0


async def test_a_probe_cut_short_leaves_no_session(database: Database) -> None:
    import asyncio

    run_id = new_run_id()
    session: Session = await lifeline(database.dsn, run_id)
    try:
        limits = await read_limits(session)
        some = asyncio.Event()
        probing = asyncio.create_task(
            open_to_limit(database.dsn, run_id, session, limits, on_opened=lambda n: some.set() if n == 5 else None)
        )
        await some.wait()
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing
        assert await all_gone(session, application_name(run_id, "probe"))
    finally:
        await close(session)
