"""What was cut off keeps its place until the server is rid of it, as the server sees it.

The oracle is a role that may open as many connections as the pool: one more is refused with 53300, and told.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Unpack

import asyncpg
import pytest

from dbpool import AcquireTimeout, ConnectionLost, DatabasePool, QueryTimeout, ServerUnavailable
from dbpool.embedded import EmbeddedPostgres
from dbpool.events import ConnectFailed, Event, Quarantined, QuarantineEnded
from dbpool.options import Options
from tests.support.databases import Database
from tests.support.pools import Witness, becomes, pool_of, role_in, settled, until, witness_of
from tests.support.proxy import Do, Message, Proxy, Rule, Session, let_all_pass, proxy_before
from tests.support.sockets import open_sockets

pytestmark = pytest.mark.every_loop

BOUND = 5
TASKS = 1000
# By design a permit is free after quarantine_timeout, whatever the backend does; no storm is to get there, however busy
# the machine: what it shows then is that the bound has no other hole.
LONG_S = 60.0
Use = Callable[[DatabasePool, random.Random], Awaitable[None]]
PID = "select pg_backend_pid()"


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedPostgres]:
    """A server whose processes we may stop and go on."""
    with EmbeddedPostgres() as server:
        yield server


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Processes that do nothing for the length of the block."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def listen(db: DatabasePool) -> list[Event]:
    told: list[Event] = []
    db.on_event(told.append)
    return told


# Storms


async def short(db: DatabasePool, rng: random.Random) -> None:
    assert await db.fetchval("select $1::int", 7) == 7


async def longer(db: DatabasePool, rng: random.Random) -> None:
    await db.fetch("select pg_sleep($1)", rng.random() * 0.05)


async def deaf(db: DatabasePool, rng: random.Random) -> None:
    """A statement that runs at full speed, and reads no request in between."""
    await db.fetch("select count(*) from generate_series(1, $1)", rng.randint(1000, 200_000))


async def rows(db: DatabasePool, rng: random.Random) -> None:
    await db.fetch("select repeat('x', 200) from generate_series(1, $1)", rng.randint(1, 10_000))


async def transaction(db: DatabasePool, rng: random.Random) -> None:
    async with db.transaction() as tx:
        await tx.execute("insert into t values ($1)", 1)
        await tx.fetch("select pg_sleep($1)", rng.random() * 0.02)


async def stream(db: DatabasePool, rng: random.Random) -> None:
    async for _ in db.stream("select * from generate_series(1, 500)", prefetch=50):
        await asyncio.sleep(0)


async def executemany(db: DatabasePool, rng: random.Random) -> None:
    async with db.acquire() as connection:
        await connection.executemany("insert into t values ($1)", [(n,) for n in range(rng.randint(1, 1000))])


async def copy_in(db: DatabasePool, rng: random.Random) -> None:
    async with db.acquire() as connection:
        await connection.copy_records_to_table("t", records=((n,) for n in range(rng.randint(1, 5000))))


async def copy_out(db: DatabasePool, rng: random.Random) -> None:
    async def drop(_: bytes) -> None:
        await asyncio.sleep(0)

    async with db.acquire() as connection:
        await connection.copy_from_query("select * from generate_series(1, 5000)", output=drop)


async def dirty(db: DatabasePool, rng: random.Random) -> None:
    await db.execute("set work_mem = '65kB'")


async def in_a_hurry(db: DatabasePool, rng: random.Random) -> None:
    with suppress(AcquireTimeout, QueryTimeout):
        await db.fetch("select pg_sleep(0.03)", timeout=0.01)


ENDS: list[Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[None] | None]] = [
    lambda connection: connection.terminate(),
    lambda connection: connection.close(timeout=0.001),
    lambda connection: connection.close(),
]


async def ended_by_its_holder(db: DatabasePool, rng: random.Random) -> None:
    """Idle, or in the middle of a statement."""
    async with db.acquire() as connection:
        statement = rng.choice(["select pg_sleep(0.02)", "select count(*) from generate_series(1, 100000)", None])
        busy = [] if statement is None else [asyncio.ensure_future(connection.fetch(statement))]
        try:
            await asyncio.sleep(rng.random() * 0.01)
            with suppress(TimeoutError, asyncpg.InterfaceError):
                if (closing := rng.choice(ENDS)(connection)) is not None:  # type: ignore[arg-type] # a handle is as good
                    await closing
        finally:
            for task in busy:
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)


USES: list[Use] = [
    short, longer, deaf, rows, transaction, stream, executemany, copy_in, copy_out, dirty, in_a_hurry
]  # fmt: skip
ROUGH_USES = [*USES, *[ended_by_its_holder] * 4]


async def kill(witness: Witness, rng: random.Random) -> None:
    """End one session of ours after the other, idle, busy or about to begin."""
    while True:
        await witness.run(
            "select pg_terminate_backend(pid) from (select pid from pg_stat_activity"
            " where usename = 'role_of_' || current_database() order by random() limit 1) as one"
        )
        await asyncio.sleep(rng.random() * 0.02)


def slow_to_begin(rng: random.Random, seconds: float) -> Rule:
    """Some sessions are told only so much later that they may begin."""
    met: set[Session] = set()

    def rule(message: Message) -> Do:
        if message.kind != "Z" or message.session in met:
            return Do.PASS
        met.add(message.session)
        if rng.random() < 0.7:
            return Do.PASS
        asyncio.get_running_loop().call_later(seconds, message.session.go_on.set)
        return Do.STALL

    return rule


async def storm(db: DatabasePool, rng: random.Random, uses: list[Use], tasks: int = TASKS) -> set[type]:
    """So many callers at once, each cancelled at some time or other; how they ended. Nobody was one too many.

    Of rough ones there are as many more as it takes for a connection to be put in quarantine, which may be a matter of
    luck on a busy machine.
    """
    loop, told = asyncio.get_running_loop(), listen(db)
    ends: list[object] = []
    for _ in range(10):
        callers = [asyncio.ensure_future(rng.choice(uses)(db, rng)) for _ in range(tasks)]
        for caller in callers:
            loop.call_later(rng.random() * 2.0, caller.cancel)
        ends += await asyncio.gather(*callers, return_exceptions=True)
        if uses is USES or any(isinstance(event, Quarantined) for event in told):
            break
    await until(lambda: works(db))
    await settled(db, LONG_S)
    await becomes(lambda: db.stats().zombies == 0, LONG_S)  # of connects that nobody waits for
    assert [event for event in told if isinstance(event, ConnectFailed) and "TooManyConnections" in event.error] == []
    assert all(event.is_gone for event in told if isinstance(event, QuarantineEnded))
    assert uses is USES or any(isinstance(event, Quarantined) for event in told)
    return {type(end) for end in ends}


@pytest.mark.parametrize("uses", [USES, ROUGH_USES], ids=["cancelled", "cut off by their holders, too"])
async def test_a_storm_of_cancellations_is_never_refused_a_connection(database: Database, uses: list[Use]) -> None:
    before = open_sockets()
    async with role_in(database, limit=BOUND) as dsn:
        async with pool_of(dsn, BOUND, max_connecting=BOUND, quarantine_timeout=LONG_S) as db:
            await db.execute("create table t (a int)")
            assert await storm(db, random.Random(1), uses) <= {type(None), asyncio.CancelledError}
            assert db.stats().connect_failures_total == 0
    await becomes(lambda: open_sockets() == before)


async def test_a_storm_in_which_sessions_are_ended_too_is_never_refused_a_connection(database: Database) -> None:
    rng = random.Random(2)
    async with role_in(database, limit=BOUND) as dsn, witness_of(database) as witness:
        options: Options = {"max_connecting": BOUND, "outage_patience": 60.0, "quarantine_timeout": LONG_S}
        async with pool_of(dsn, BOUND, **options) as db:
            await db.execute("create table t (a int)")
            killing = asyncio.ensure_future(kill(witness, rng))
            await storm(db, rng, ROUGH_USES)
            killing.cancel()
            await asyncio.wait([killing])
            assert killing.cancelled()


async def test_a_storm_in_which_connects_are_given_up_too_is_never_refused_a_connection(database: Database) -> None:
    rng = random.Random(3)
    before = open_sockets()
    async with role_in(database, limit=BOUND) as dsn, proxy_before(dsn) as proxy:
        options: Options = {"outage_patience": 60.0, "quarantine_timeout": LONG_S}
        options |= {"connect_timeout": 0.3, "reset_timeout": 0.1}
        async with pool_of(proxy.dsn(dsn), BOUND, **options) as db:
            await db.execute("create table t (a int)")
            proxy.rule = slow_to_begin(rng, 0.5)
            assert await storm(db, rng, ROUGH_USES, 200) <= {type(None), asyncio.CancelledError}
            assert db.stats().connect_failures_total > 0
    await becomes(lambda: open_sockets() == before)


async def works(db: DatabasePool) -> bool:
    try:
        return bool(await db.fetchval("select 1") == 1)
    except (ServerUnavailable, ConnectionLost):
        return False


# One connection


@asynccontextmanager
async def one_at_a_time(database: Database, **options: Unpack[Options]) -> AsyncIterator[tuple[DatabasePool, Proxy]]:
    """A pool of one connection, of a role that may have one, by way of a proxy; it is never refused."""
    async with role_in(database, limit=1) as dsn, proxy_before(dsn) as proxy:
        async with pool_of(proxy.dsn(dsn), 1, **options) as db:
            yield db, proxy
            proxy.rule = let_all_pass
            proxy.resume()
            assert await db.fetchval("select 1") == 1
            assert "TooMany" not in str(db.stats().last_connect_error)


async def refuses(db: DatabasePool) -> None:
    """Nobody gets a connection now: the only one is a zombie's."""
    with pytest.raises(AcquireTimeout):
        await db.fetchval("select 1", timeout=0.2)
    assert db.stats().zombies == 1


def listed(database: Database | str, pid: int) -> bool:
    """Whether the server lists the session, while this event loop stands still."""

    async def look() -> bool:
        async with witness_of(database) as witness:
            return pid in await witness.pids()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, look()).result()


async def test_the_permit_of_a_busy_connection_cut_off_is_free_when_its_backend_is_not_listed_any_more(
    database: Database,
) -> None:
    seen: list[tuple[type[Event], bool, int]] = []
    async with pool_of(database, 1) as db, witness_of(database) as witness, witness.holding():
        for _ in range(5):
            pid = await db.fetchval(PID)

            def look(event: Event, pid: int = pid) -> None:
                if isinstance(event, Quarantined | QuarantineEnded):
                    seen.append((type(event), listed(database, pid), db.stats().held))

            stop = db.on_event(look)
            async with db.acquire() as connection:
                asking = asyncio.ensure_future(connection.fetch("select pg_advisory_xact_lock(1)"))
                await witness.until_blocked()
                connection.terminate()
                await asyncio.wait([asking])
                asking.exception()
            assert await db.fetchval(PID) != pid
            stop()
    assert seen == [(Quarantined, True, 1), (QuarantineEnded, False, 1)] * 5


async def test_a_statement_that_cannot_be_stopped_keeps_its_permit_until_it_ends(database: Database) -> None:
    async with one_at_a_time(database, reset_timeout=0.05) as (db, proxy), witness_of(database) as witness:
        async with witness.holding():
            proxy.rule = lambda message: Do.STALL if message.kind == "cancel" else Do.PASS
            with pytest.raises(QueryTimeout):
                await db.fetch("select pg_advisory_xact_lock(1)", timeout=0.1)
            await becomes(lambda: db.stats().zombies == 1)
            await refuses(db)
            assert len(await witness.until_blocked()) == 1
        await settled(db)
        assert db.stats().zombies == 0


@pytest.mark.parametrize("gives_up", ["its time is over", "its caller"])
async def test_a_connect_given_up_is_a_zombie_beside_which_no_other_is_begun(database: Database, gives_up: str) -> None:
    options: Options = {"connect_timeout": 0.3 if gives_up == "its time is over" else 0.6, "outage_patience": 60.0}
    async with one_at_a_time(database, **options) as (db, proxy), witness_of(database) as witness:
        await witness.terminate(await db.fetchval(PID))
        await becomes(lambda: db.stats().connections == 0)
        proxy.rule = lambda message: Do.STALL if message.kind == "Z" else Do.PASS  # the session is ready, none is told
        calls = [asyncio.ensure_future(db.fetchval("select 1")) for _ in range(3)]
        await becomes(lambda: proxy.is_stalled)
        if gives_up == "its caller":
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
        await becomes(lambda: db.stats().zombies == 1)
        sessions = len(proxy.sessions)
        await refuses(db)
        assert len(await witness.pids()) == 1
        assert (len(proxy.sessions), db.stats().opening) == (sessions, 1)
        proxy.rule = let_all_pass
        proxy.resume()
        await asyncio.wait(calls)
        await settled(db)


# Processes that stand still


async def test_a_frozen_backend_keeps_its_permit_until_it_goes_on(own: EmbeddedPostgres) -> None:
    async with pool_of(own.dsn(), 1) as db, witness_of(own.dsn()) as witness:
        pid = await db.fetchval(PID)
        with frozen(pid):
            async with db.acquire() as connection:
                connection.terminate()
            await refuses(db)
            assert await witness.pids() == {pid}
        assert await db.fetchval(PID) != pid
        assert db.stats().zombies == 0
        assert pid not in await witness.pids()


async def test_a_frozen_backend_keeps_its_permit_no_longer_than_the_settings_say(own: EmbeddedPostgres) -> None:
    async with pool_of(own.dsn(), 1, quarantine_timeout=0.2) as db, witness_of(own.dsn()) as witness:
        told = listen(db)
        pid = await db.fetchval(PID)
        with frozen(pid):
            async with db.acquire() as connection:
                connection.terminate()
            other = await db.fetchval(PID)
            assert await witness.pids() == {pid, other}
        assert [event for event in told if isinstance(event, QuarantineEnded)] == [
            QuarantineEnded(is_gone=False, zombies=0)
        ]


async def test_a_pool_closes_in_time_over_a_zombie_and_lets_go_of_its_socket(own: EmbeddedPostgres) -> None:
    before = open_sockets()
    db = await DatabasePool(own.dsn(), 1)
    with frozen(await db.fetchval(PID)):
        async with db.acquire() as connection:
            connection.terminate()
        async with asyncio.timeout(5):
            await db.close(timeout=0.1)
        assert (db.stats().zombies, db.stats().held) == (0, 0)
        await becomes(lambda: open_sockets() == before)


async def test_a_pause_cancelled_while_it_disconnects_keeps_the_permit_of_a_frozen_backend(
    own: EmbeddedPostgres,
) -> None:
    async with pool_of(own.dsn(), 1, reset_timeout=0.2) as db, witness_of(own.dsn()) as witness:
        pid = await db.fetchval(PID)
        with frozen(pid):
            pausing = asyncio.ensure_future(db.pause(disconnect=True))
            await becomes(lambda: db.stats().zombies == 1)
            pausing.cancel()
            await asyncio.wait([pausing])
            await refuses(db)
            assert await witness.pids() == {pid}
        assert await db.fetchval(PID) != pid
