"""Notifications: in order, through every reconnect, and never missing without a Gap."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress

import asyncpg
import pytest

from dbpool import (
    DatabasePool,
    Gap,
    Notification,
    PoolClosed,
    ServerUnavailable,
    SettingsError,
    Subscription,
    UsageError,
    listening,
)
from tests.support.databases import Database
from tests.support.pools import Witness, pool_of, role_in, until, witness_of
from tests.support.proxy import Do, Message, proxy_before

SOON_S = 10.0


async def following(events: Subscription) -> Notification | Gap:
    async with asyncio.timeout(SOON_S):
        return await anext(events)


async def payloads(events: Subscription, count: int) -> list[str]:
    seen = [await following(events) for _ in range(count)]
    return [event.payload if isinstance(event, Notification) else repr(event) for event in seen]


async def listener_of(witness: Witness) -> int:
    """The pid of the session that listens."""

    async def look() -> list[int]:
        return [row["pid"] for row in await witness.backends() if row["query"].startswith(("LISTEN", "UNLISTEN"))]

    return (await until(look))[0]


async def ends_listening(witness: Witness, pid: int) -> None:
    async def look() -> bool:
        return pid not in await witness.pids()

    await until(look)


async def test_notifications_come_in_order_with_channel_payload_and_sender(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db, db.listen("orders") as events:
        await witness.run("notify orders, 'one'; notify orders, 'two'; notify stock, 'other'; notify orders")
        pid = await witness.value("select pg_backend_pid()")
        assert [await following(events) for _ in range(3)] == [
            Notification("orders", text, pid) for text in ("one", "two", "")
        ]


async def test_a_loop_without_a_block_listens_from_its_first_step_on(database: Database) -> None:
    async with pool_of(database, 1) as db:
        seen: list[object] = []

        async def follow() -> None:
            async for event in db.listen("orders"):
                seen.append(event)
                return

        task = asyncio.create_task(follow())
        while not task.done():
            await db.execute("notify orders")
            await asyncio.sleep(0.01)
        assert [type(event) for event in seen] == [Notification]


async def test_all_subscriptions_share_one_connection_beside_the_bound(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db:
        async with db.acquire() as connection, db.listen("a") as one, db.listen("a", "b") as other:
            assert db.stats().held == db.stats().connections == 1
            assert len(await witness.pids()) == 2
            await connection.execute("notify a, '1'; notify b, '2'")
            assert await payloads(one, 1) == ["1"]
            assert await payloads(other, 2) == ["1", "2"]


@pytest.mark.parametrize("name", ["MiXed", 'a"b', "a b;drop", "ü€", "x" * 63, "select"])
async def test_a_channel_is_named_as_it_is(database: Database, name: str) -> None:
    async with pool_of(database, 1) as db, db.listen(name) as events:
        await db.execute("select pg_notify($1, 'here')", name)
        event = await following(events)
        assert isinstance(event, Notification)
        assert (event.channel, event.payload) == (name, "here")


@pytest.mark.parametrize("channels", [(), ("",), ("x" * 64,), ("ü" * 32,), ("a\0b",), ("a\ud800",), (5,), (b"a",)])
async def test_a_name_that_no_channel_has_is_refused(database: Database, channels: tuple[str, ...]) -> None:
    async with pool_of(database, 1) as db:
        with pytest.raises(SettingsError):
            db.listen(*channels)
        with pytest.raises(SettingsError, match="buffer"):
            db.listen("a", buffer=0)


async def test_a_lost_connection_is_a_gap_and_what_comes_after_it_is_whole(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db, db.listen("a", "b") as events:
        for text in ("1", "2", "3"):
            await witness.run(f"notify a, '{text}'")
            assert await payloads(events, 1) == [text]
            await witness.terminate(await listener_of(witness))
            await witness.run("notify a, 'nobody hears it'")
            assert await following(events) == Gap(None)
            await witness.run(f"notify b, '{text}'")
            assert await payloads(events, 1) == [text]


async def test_an_outage_is_waited_out(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with role_in(database) as dsn, witness_of(database) as witness:
        role = await witness.value("select rolname from pg_roles where rolname like 'role_of_%' || current_database()")
        async with pool_of(dsn, 1) as db, db.listen("a") as events:
            await witness.run(f'alter role "{role}" nologin')
            await witness.terminate(*await witness.pids())
            with pytest.raises(ServerUnavailable, match="cannot listen") as caught:
                async with db.listen("b"):
                    pass
            assert isinstance(caught.value.__cause__, asyncpg.PostgresError)
            await asyncio.sleep(0.5)
            await witness.run(f'alter role "{role}" login')
            assert await following(events) == Gap(None)
            await witness.run("notify a, 'again'")
            assert await payloads(events, 1) == ["again"]


async def test_a_slow_reader_is_told_how_many_it_missed(database: Database) -> None:
    async with pool_of(database, 1) as db, db.listen("a", buffer=3) as events, db.listen("a") as quick:
        await db.execute("select pg_notify('a', n::text) from generate_series(1, 10) as n")
        assert await payloads(quick, 10) == [str(n) for n in range(1, 11)]
        assert await payloads(events, 4) == ["1", "2", "3", "Gap(dropped=7)"]
        await db.execute("notify a, '11'")
        assert await payloads(events, 1) == ["11"]


async def test_closing_the_pool_ends_the_loop_once_it_has_read_what_came(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with db.listen("a") as events, db.listen("a") as busy:
            await db.execute("notify a, 'last'")
            assert await payloads(events, 1) == ["last"]
            waiting = asyncio.create_task(following(events))
            await asyncio.sleep(0)
            await db.close()
            with pytest.raises(PoolClosed):
                await waiting
            assert await payloads(busy, 1) == ["last"]
            with pytest.raises(PoolClosed):
                await following(busy)
        with pytest.raises(PoolClosed):
            db.listen("a")


async def test_a_pool_that_was_used_to_listen_only_closes_at_once(database: Database) -> None:
    async with DatabasePool(database.dsn, 1) as db, db.listen("a"):
        await db.close(timeout=5)


async def test_the_connection_is_closed_with_the_last_subscription_and_opened_again(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db:
        for _ in range(2):
            async with db.listen("a") as events:
                async with db.listen("b"):
                    pid = await listener_of(witness)
                await db.execute("notify a, 'x'")
                assert await payloads(events, 1) == ["x"]
            await ends_listening(witness, pid)
            with pytest.raises(StopAsyncIteration):
                await following(events)


async def test_a_channel_that_nobody_follows_any_more_is_followed_again_when_asked(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db, db.listen("a"):

        async def is_followed_no_more() -> bool:
            return any(row["query"] == 'UNLISTEN "b"' for row in await witness.backends())

        for text in ("1", "2"):
            async with db.listen("b") as events:
                await db.execute(f"notify b, '{text}'")
                assert await payloads(events, 1) == [text]
            await until(is_followed_no_more)


async def test_a_loop_that_was_left_without_a_block_is_forgotten(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db:
        events = db.listen("a")
        task = asyncio.create_task(following(events))
        pid = await listener_of(witness)
        task.cancel()
        await asyncio.wait([task])
        del events, task
        gc.collect()
        await ends_listening(witness, pid)


async def test_a_cancelled_step_loses_nothing(database: Database) -> None:
    async with pool_of(database, 1) as db, db.listen("a") as events:
        for text in ("1", "2", "3"):
            step = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            notifying = asyncio.create_task(db.execute(f"notify a, '{text}'"))
            await asyncio.sleep(0.002 * int(text))
            step.cancel()
            await notifying
            with suppress(asyncio.CancelledError):
                got = await step
                assert isinstance(got, Notification)
                assert got.payload == text
                continue
            assert await payloads(events, 1) == [text]


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20])
async def test_a_subscriber_cancelled_while_it_joins_leaves_nothing(database: Database, turns: int) -> None:
    async def join(db: DatabasePool) -> None:
        async with db.listen("a"):
            await asyncio.sleep(60)

    async with pool_of(database, 1) as db:
        task = asyncio.create_task(join(db))
        for _ in range(turns):
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        async with db.listen("a") as events:
            await db.execute("notify a, 'still works'")
            assert await payloads(events, 1) == ["still works"]


async def test_misuse_is_refused(database: Database) -> None:
    async with pool_of(database, 1) as db, db.listen("a") as events:
        with pytest.raises(UsageError, match="used already"):
            await events.__aenter__()
        waiting = asyncio.create_task(following(events))
        await asyncio.sleep(0.01)
        with pytest.raises(UsageError, match="another task"):
            await following(events)
        waiting.cancel()


async def test_a_connection_that_went_silent_is_replaced(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEARTBEAT_S", 0.2)
    async with proxy_before(database.dsn) as proxy:
        stalled: list[object] = []

        def stall_the_first(message: Message) -> Do:
            if message.session in stalled:
                return Do.STALL
            if not stalled and message.says("Q", b"SELECT 1"):
                stalled.append(message.session)
                return Do.STALL
            return Do.PASS

        async with pool_of(proxy.dsn(database.dsn), 1, reset_timeout=0.3) as db, db.listen("a") as events:
            proxy.rule = stall_the_first
            assert await following(events) == Gap(None)
            async with witness_of(database) as witness:
                await witness.run("notify a, 'after'")
            assert await payloads(events, 1) == ["after"]


async def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy:
        async with pool_of(proxy.dsn(database.dsn), 1, connect_timeout=0.4, reset_timeout=0.2) as db:
            proxy.rule = lambda message: Do.STALL if message.says("P", b"LISTEN") else Do.PASS
            with pytest.raises(ServerUnavailable, match="does not listen after"):
                async with db.listen("a"):
                    pass


async def test_a_callback_of_ones_own_connection_that_raises_is_told_to_the_loop_and_costs_nothing(
    database: Database,
) -> None:
    told: asyncio.Queue[BaseException | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.put_nowait(context.get("exception")))

    def fail(*_: object) -> None:
        raise ZeroDivisionError("mine")

    try:
        async with pool_of(database, 1) as db, db.acquire() as connection:
            await connection.add_listener("own", fail)
            await connection.execute("notify own")
            async with asyncio.timeout(SOON_S):
                assert isinstance(await told.get(), ZeroDivisionError)
            await connection.remove_listener("own", fail)
            assert await connection.fetchval("select 1") == 1
    finally:
        loop.set_exception_handler(None)
