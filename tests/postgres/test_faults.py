"""The server and the network fail in every way that can be had on one machine."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from dbpool import (
    AcquireTimeout,
    CommitOutcomeUnknown,
    ConnectionLost,
    DatabasePool,
    QueryTimeout,
    ServerUnavailable,
    leases,
)
from dbpool.embedded import EmbeddedPostgres
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, role_in, settled, until, witness_of
from tests.support.proxy import Do, Message, Proxy, Way, proxy_before, proxy_to

PID = "select pg_backend_pid()"


def socket_of(server: EmbeddedPostgres) -> Path:
    return server.socket_dir / ".s.PGSQL.5432"


def dsn_through(proxy: Proxy) -> str:
    return f"postgresql://postgres@{proxy.address}/postgres?sslmode=disable"


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedPostgres]:
    """A server whose processes we may stop and go on."""
    with EmbeddedPostgres() as server:
        yield server


@asynccontextmanager
async def own_proxy(own: EmbeddedPostgres) -> AsyncIterator[Proxy]:
    async with proxy_to(socket_of(own)) as proxy:
        yield proxy


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Processes that do nothing for the length of the block, and do not know it afterwards."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


# No server


async def test_a_server_that_is_down_at_the_start_is_told_soon(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy:
        await proxy.refuse()
        db = DatabasePool(proxy.dsn(database.dsn), outage_patience=0.2)
        async with asyncio.timeout(5):
            with pytest.raises(ServerUnavailable, match="Check that the server runs") as caught:
                await db.open()
        assert isinstance(caught.value.__cause__, OSError)
        await proxy.listen()
        await db.open()  # the same pool, now that there is a server
        assert await db.fetchval("select 1") == 1
        await db.close()
        assert (db.stats().held, db.stats().waiting, db.stats().connections) == (0, 0, 0)


async def test_a_server_that_never_answers_is_told_in_time(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy:
        proxy.stall()
        db = DatabasePool(proxy.dsn(database.dsn), connect_timeout=0.2, outage_patience=0.1)
        async with asyncio.timeout(5):
            with pytest.raises(ServerUnavailable):
                await db.open()
        assert (db.stats().held, db.stats().waiting, db.stats().connections) == (0, 0, 0)


async def test_callers_during_an_outage_are_refused_soon_and_served_when_it_ends(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy:
        async with pool_of(proxy.dsn(database.dsn), 2, outage_patience=0.2) as db:
            await proxy.refuse()
            proxy.end_all(reset=True)
            async with asyncio.timeout(5):
                ends = await asyncio.gather(*(db.fetchval("select 1") for _ in range(20)), return_exceptions=True)
            assert {type(end) for end in ends} <= {ConnectionLost, ServerUnavailable}
            assert ServerUnavailable in {type(end) for end in ends}
            before = asyncio.get_running_loop().time()
            with pytest.raises(ServerUnavailable):
                await db.fetchval("select 1")
            assert asyncio.get_running_loop().time() - before < 1.5  # one try of its own at the most
            await proxy.listen()
            await until(lambda: works(db))


async def works(db: DatabasePool) -> bool:
    try:
        return bool(await db.fetchval("select 1") == 1)
    except (ServerUnavailable, ConnectionLost):
        return False


@contextmanager
def kept_server() -> Iterator[EmbeddedPostgres]:
    """A server whose data outlive a restart; not started."""
    with tempfile.TemporaryDirectory(prefix="dbp-", dir="/tmp") as place:
        Path(place).chmod(0o1777)  # the server's user makes its data in it
        yield EmbeddedPostgres(data_dir=Path(place) / "data", settings={"fsync": "off"})


@pytest.mark.parametrize("how", ["fast", "immediate"])
async def test_a_server_restarted_in_the_middle_costs_what_was_under_way_and_no_more(how: str) -> None:
    with kept_server() as server:
        await asyncio.to_thread(server.start)
        try:
            async with own_proxy(server) as proxy, pool_of(dsn_through(proxy), 4, outage_patience=0.5) as db:
                await db.execute("create table t (a int primary key)")
                callers = [asyncio.create_task(write(db, n)) for n in range(120)]
                await until(lambda: db.fetchval("select count(*) > 20 from t"))
                if how == "immediate":
                    os.kill(server.pid, signal.SIGQUIT)
                await asyncio.to_thread(server.stop)
                await asyncio.to_thread(server.start)
                proxy.upstream = socket_of(server)
                ends = dict(await asyncio.gather(*callers))
                await until(lambda: works(db))
                stored = {row["a"] for row in await db.fetch("select a from t")}
                assert {n for n, stood in ends.items() if stood is True} <= stored
                assert not {n for n, stood in ends.items() if stood is False} & stored
        finally:
            await asyncio.to_thread(server.stop)


async def write(db: DatabasePool, number: int) -> tuple[int, bool | None]:
    """Insert a row; say whether that is stored, None: nobody can know."""
    try:
        async with db.transaction() as tx:
            await tx.execute("insert into t values ($1)", number)
            await tx.fetch("select pg_sleep(0.002)")
    except CommitOutcomeUnknown:
        return number, None
    except (ConnectionLost, ServerUnavailable, asyncpg.PostgresError, asyncpg.InternalClientError):
        return number, False
    return number, True


# Sessions end


async def test_a_session_ended_while_it_rests_is_not_noticed_by_the_next_caller(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        for _ in range(3):
            await witness.terminate(await db.fetchval(PID))
            await becomes(lambda: db.stats().connections == 0)
            assert await db.fetchval("select 1") == 1
        assert db.stats().discarded_total == 3


async def test_a_session_about_to_end_is_told_to_the_next_caller_as_lost(database: Database) -> None:
    """As when a server is restarted: its farewell is read one turn of the loop before the end of the connection."""

    def only_farewell(message: Message) -> Do:
        return Do.LAST if message.way is Way.TO_CLIENT and b"57P01" in message.body else Do.PASS

    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1, reset_timeout=0.2) as db:
        async with witness_of(database) as witness:
            pid = await db.fetchval(PID)
            proxy.rule = only_farewell
            await witness.terminate(pid)
            await becomes(lambda: proxy.is_stalled)
            try:
                with pytest.raises(ConnectionLost):
                    await db.fetchval("select 1", timeout=2)
            finally:
                proxy.rule = lambda _: Do.PASS
                proxy.resume()  # the backend is gone for the pool when its end of the connection is
            assert await db.fetchval("select 1", timeout=2) == 1


async def test_a_session_ended_in_a_statement_is_told(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness, witness.holding():
        for _ in "unprepared", "prepared":
            call = asyncio.create_task(db.fetch("select pg_advisory_xact_lock(1)"))
            await witness.terminate(*await witness.until_blocked())
            with pytest.raises(ConnectionLost, match="terminating connection due to administrator command"):
                await call
        assert await db.fetchval("select 1") == 1


@pytest.mark.parametrize("reset", [True, False])
async def test_a_connection_cut_while_it_rests_is_not_noticed_by_the_next_caller(
    database: Database, reset: bool
) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        proxy.end_all(reset=reset)
        await becomes(lambda: db.stats().connections == 0)
        assert await db.fetchval("select 1") == 1


# The server has no room


async def test_a_server_with_less_room_than_the_pool_serves_everybody_with_what_there_is(database: Database) -> None:
    async with role_in(database, limit=2) as dsn, pool_of(dsn, 5) as db:
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*(db.fetchval("select $1::int", n) for n in range(200)))
        assert answers == list(range(200))
        await becomes(lambda: "TooManyConnectionsError" in str(db.stats().last_connect_error))


async def test_a_server_without_any_room_is_told(database: Database) -> None:
    async with role_in(database, limit=0) as dsn:
        db = DatabasePool(dsn, outage_patience=0.1)
        with pytest.raises(ServerUnavailable, match="too many connections"):
            await db.open()
        assert (db.stats().held, db.stats().waiting) == (0, 0)


# The server is there and does not move


async def test_a_frozen_backend_costs_its_caller_its_time_and_nobody_else_anything(own: EmbeddedPostgres) -> None:
    async with pool_of(own.dsn(), 1, reset_timeout=0.2, quarantine_timeout=0.3) as db:
        pid = await db.fetchval(PID)
        with frozen(pid):
            started = asyncio.get_running_loop().time()
            with pytest.raises(QueryTimeout):
                await db.fetch("select 1", timeout=0.2)
            assert asyncio.get_running_loop().time() - started < 1
            await settled(db, 3)
            assert await db.fetchval(PID) != pid


async def test_a_backend_frozen_while_it_rests_is_found_out_before_a_caller_gets_it(
    own: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "PING_AFTER_S", 0.0)
    async with pool_of(own.dsn(), 1, reset_timeout=0.2, quarantine_timeout=0.3) as db:
        with frozen(await db.fetchval(PID)):
            assert await db.fetchval("select 1", timeout=3) == 1
        assert db.stats().discarded_total == 1


async def test_a_frozen_postmaster_stops_new_connections_only(own: EmbeddedPostgres) -> None:
    async with pool_of(own.dsn(), 2, reset_timeout=0.2, connect_timeout=0.5) as db:
        with frozen(own.pid):
            async with db.acquire() as connection:
                with pytest.raises(AcquireTimeout):
                    await db.fetchval("select 1", timeout=0.2)
                assert await connection.fetchval("select 1") == 1
            assert await db.fetchval("select 1") == 1
            with pytest.raises(QueryTimeout):  # nobody is there to take the request to cancel
                await db.fetch("select pg_sleep(0.4)", timeout=0.1)
        await settled(db)
        assert await db.fetchval("select 1") == 1


async def test_a_network_that_swallows_all_costs_a_caller_its_time(own: EmbeddedPostgres) -> None:
    async with own_proxy(own) as proxy, pool_of(dsn_through(proxy), 2, reset_timeout=0.1, quarantine_timeout=0.3) as db:
        proxy.stall()
        with pytest.raises(QueryTimeout):
            await db.fetch("select 1", timeout=0.1)
        await settled(db, 3)
        proxy.resume()
        await until(lambda: works(db))


async def test_closing_over_a_network_that_swallows_all_ends_in_time(own: EmbeddedPostgres) -> None:
    async with own_proxy(own) as proxy, pool_of(dsn_through(proxy), 2) as db:
        proxy.stall()
        async with asyncio.timeout(2):
            await db.close(timeout=0.2)


async def test_a_request_to_cancel_that_arrives_late_harms_no_later_statement(own: EmbeddedPostgres) -> None:
    async with own_proxy(own) as proxy, pool_of(dsn_through(proxy), 1, reset_timeout=0.1, quarantine_timeout=0.3) as db:
        async with witness_of(own.dsn()) as witness, witness.holding():
            proxy.rule = lambda message: Do.STALL if message.kind == "cancel" else Do.PASS
            with pytest.raises(QueryTimeout):
                await db.fetch("select pg_advisory_xact_lock(1)", timeout=0.1)
            await settled(db, 3)
            proxy.rule = lambda _: Do.PASS
            calls = asyncio.gather(*(db.fetchval("select $1::int", n) for n in range(50)))
            proxy.resume()
            assert await calls == list(range(50))


async def test_an_answer_that_is_lost_costs_the_connection_and_no_more(own: EmbeddedPostgres) -> None:
    async with own_proxy(own) as proxy, pool_of(dsn_through(proxy), 1, reset_timeout=0.1) as db:
        proxy.rule = lambda message: Do.DROP if message.way is Way.TO_CLIENT and message.kind == "Z" else Do.PASS
        with pytest.raises(QueryTimeout):
            await db.fetch("select 1", timeout=0.1)
        await settled(db, 3)
        proxy.rule = lambda _: Do.PASS
        assert await db.fetchval("select 1") == 1


# Every message


async def short_life(db: DatabasePool, number: int) -> bool | None:
    """What a caller does, from opening the pool on; whether its row is stored, None: nobody can know."""
    try:
        await db.open()
        await db.fetchval("select $1::int", 1)
        await db.execute("set work_mem = '65kB'")  # owes a reset
    except (ConnectionLost, ServerUnavailable):
        await db.open()  # again, or it is open
    try:
        async with db.transaction() as tx:
            await tx.execute("insert into cut values ($1)", number)
    except CommitOutcomeUnknown:
        return None
    except ConnectionLost:
        return False
    return True


def cut_one(todo: Do, number: int, numbers: Iterator[int], cuts: list[Message], message: Message) -> Do:
    if next(numbers) != number:
        return Do.PASS
    cuts.append(message)
    return todo


@pytest.mark.parametrize("todo", [Do.RESET, Do.FINISH])
async def test_a_connection_cut_at_any_message_lies_to_nobody(own: EmbeddedPostgres, todo: Do) -> None:
    async with witness_of(own.dsn()) as witness, own_proxy(own) as proxy:
        await witness.run("drop table if exists cut; create table cut (a int primary key)")
        wrong: list[object] = []
        outcomes = set()
        for cut_at in itertools.count(1):
            messages = itertools.count(1)
            cuts: list[Message] = []
            proxy.rule = functools.partial(cut_one, todo, cut_at, messages, cuts)
            db = DatabasePool(dsn_through(proxy), 1, outage_patience=0.5, reset_timeout=1.0, name=f"cut {cut_at}")
            async with asyncio.timeout(10):
                claim = await short_life(db, cut_at)
                outcomes.add(claim)
                proxy.rule = lambda _: Do.PASS
                await settled(db)
                assert await db.fetchval("select 1") == 1, cut_at
                await settled(db)
                await db.close()
            is_stored = await witness.value("select exists (select from cut where a = $1)", cut_at)
            if claim is not None and claim != is_stored:
                wrong.append((cut_at, claim, is_stored))
            assert (db.stats().held, db.stats().waiting) == (0, 0)
            if not cuts:
                break
    assert wrong == []
    assert outcomes == {True, False, None}
    assert cut_at > 30


# The password changes


async def test_a_password_that_was_changed_harms_new_connections_only_and_is_told(database: Database) -> None:
    async with role_in(database, password="old") as dsn, pool_of(dsn, 2) as db, witness_of(database) as witness:
        role = f"role_of_{database.name}"
        pid = await db.fetchval(PID)
        await witness.run(f"alter role \"{role}\" password 'new'")
        assert await db.fetchval("select 1") == 1
        await witness.terminate(pid)
        await becomes(lambda: db.stats().connections == 0)
        with pytest.raises(ServerUnavailable, match="Check the user, the password") as caught:
            await db.fetchval("select 1")
        assert isinstance(caught.value.__cause__, asyncpg.InvalidPasswordError)
        await witness.run(f"alter role \"{role}\" password 'old'")
        await until(lambda: works(db))
