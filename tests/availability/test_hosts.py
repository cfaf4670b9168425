"""An address with several servers, of which some are silent, refuse, or are not found."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from dbpool import DatabasePool, QueryTimeout, ServerUnavailable, doubt
from dbpool.dialing import DialingLoop
from tests.support.databases import Database
from tests.support.pools import PATIENCE_S, becomes, dsn_with, pool_of
from tests.support.proxy import proxy_before


@contextmanager
def deaf() -> Iterator[str]:
    """A listener that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def blackhole() -> Iterator[str]:
    """A listener whose line is full, so that the first packet of a connect is dropped."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def refusing() -> Iterator[str]:
    """A port on which nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{holder.getsockname()[1]}"


def with_hosts(dsn: str, *before: str) -> str:
    """The same address with other servers before its own."""
    own = urlsplit(dsn).netloc.rpartition("@")[2]
    return dsn_with(dsn, address=",".join([*before, own]))


@pytest.mark.every_loop
@pytest.mark.parametrize("first", [deaf, blackhole, refusing])
async def test_a_first_server_that_does_not_serve_leaves_time_for_the_second(database: Database, first: Any) -> None:  # noqa: ANN401 - one of those above
    with first() as address:
        async with pool_of(with_hosts(database.dsn, address), 2, connect_timeout=8.0) as db:
            clock = asyncio.get_running_loop().time
            assert await db.fetchval("select 1") == 1
            db.drain()
            began = clock()
            assert await db.fetchval("select 2") == 2  # a new one: the second is known to answer by now
            assert clock() - began < 8.0
            await becomes(lambda: db.stats().zombies == 0 or first is not refusing)


async def test_a_name_that_is_slow_to_be_looked_up_is_passed_over(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = DialingLoop.create_connection

    async def slowly(self: Any, factory: Any, host: Any = None, *rest: Any, **how: Any) -> Any:  # noqa: ANN401 - the loop's
        if host == "slow.invalid":
            await asyncio.sleep(60)
        return await plain(self, factory, host, *rest, **how)

    monkeypatch.setattr(DialingLoop, "create_connection", slowly)
    async with pool_of(with_hosts(database.dsn, "slow.invalid:5432"), 1, connect_timeout=8.0) as db:
        assert await db.fetchval("select 1") == 1


async def test_connect_timeout_is_for_all_servers_together_and_each_one_s_reason_is_told() -> None:
    with deaf() as silent, blackhole() as lost, refusing() as closed:
        dsn = f"postgresql://me:secret@{silent},{lost},{closed}/shop"
        db = DatabasePool(dsn, connect_timeout=1.2, outage_patience=0.01, quarantine_timeout=0.1)
        with pytest.raises(ServerUnavailable) as caught:
            async with asyncio.timeout(10.0):
                await db.open()
    text = str(caught.value)
    assert f"{silent}: no answer; {lost}: no answer; {closed}: Connection" in text, text
    assert "secret" not in text


async def test_connects_given_up_at_a_silent_server_are_counted_until_it_has_ended_them(database: Database) -> None:
    with deaf() as silent:
        async with pool_of(with_hosts(database.dsn, silent), 1, connect_timeout=8.0, quarantine_timeout=2.0) as db:
            await db.open()
            await becomes(lambda: db.stats().zombies == 1)
            await becomes(lambda: db.stats().zombies == 0)


async def test_a_server_of_another_kind_is_told_by_what_it_is(database: Database) -> None:
    dsn = database.dsn
    db = DatabasePool(dsn, target_session_attrs="standby", outage_patience=0.01)
    with pytest.raises(ServerUnavailable, match=r"NoServerSuits: .*: it is a primary"):
        await db.open()
    async with pool_of(dsn, 1, target_session_attrs="prefer-standby") as pool:
        assert await pool.fetchval("select 1") == 1
    closed = {"default_transaction_read_only": "on"}
    async with pool_of(dsn, 1, target_session_attrs="read-only", server_settings=closed) as pool:
        assert await pool.fetchval("show default_transaction_read_only") == "on"
    db = DatabasePool(dsn, target_session_attrs="read-write", outage_patience=0.01, server_settings=closed)
    with pytest.raises(ServerUnavailable, match="it is a primary that is read-only by default"):
        await db.open()


async def test_a_wrong_password_is_told_at_once_and_no_other_server_is_asked(database: Database) -> None:
    dsn = dsn_with(database.dsn, user="nobody_of_that_name", password="x")
    with deaf() as silent:
        own = urlsplit(dsn).netloc.rpartition("@")[2]
        db = DatabasePool(dsn_with(dsn, address=f"{own},{silent}"), outage_patience=5.0)
        with pytest.raises(ServerUnavailable, match="Check the user, the password"):
            await db.open()


async def test_a_parameter_of_the_address_that_the_server_has_not_is_told_with_what_mends_it(
    database: Database,
) -> None:
    sign = "&" if "?" in database.dsn else "?"
    db = DatabasePool(f"{database.dsn}{sign}connect_timeout=2", outage_patience=0.01)
    with pytest.raises(ServerUnavailable, match=r"\"connect_timeout\".*leave it out.* the setting connect_timeout\."):
        await db.open()


async def test_listening_finds_its_server_too(database: Database) -> None:
    with refusing() as closed:
        async with pool_of(with_hosts(database.dsn, closed), 1) as db, db.listen("orders") as events:
            await db.execute("notify orders, '7'")
            assert (await anext(aiter(events))).payload == "7"  # type: ignore[union-attr] # no gap


async def test_at_random_each_server_gets_some(database: Database) -> None:
    async with proxy_before(database.dsn) as one, proxy_before(database.dsn) as other:
        dsn = dsn_with(one.dsn(), address=f"127.0.0.1:{one.port},127.0.0.1:{other.port}")
        async with pool_of(dsn, 12, max_connecting=1, load_balance_hosts="random") as db:
            await asyncio.gather(*(db.fetchval("select pg_sleep(0.2)") for _ in range(12)))
        assert one.sessions
        assert other.sessions


async def test_a_standby_that_is_silent_leaves_time_for_the_primary(database: Database) -> None:
    with deaf() as silent:
        dsn = with_hosts(database.dsn, str(silent))
        async with pool_of(
            dsn, 1, target_session_attrs="prefer-standby", connect_timeout=2.0, acquire_timeout=4.0
        ) as db:
            assert await db.fetchval("select 1", timeout=4) == 1


async def test_one_session_that_is_stuck_costs_the_others_of_its_server_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubt, "ANSWER_WITHIN_S", PATIENCE_S)
    async with proxy_before(database.dsn) as one, proxy_before(database.dsn) as other:
        dsn = dsn_with(one.dsn(), address=f"{one.address},{other.address}")
        async with pool_of(dsn, 3) as db, db.acquire() as working:
            async with db.acquire():
                await one.refuse()  # so that the other one is preferred from now on
                async with db.acquire():
                    assert (len(one.sessions), len(other.sessions)) == (2, 1)
                await one.listen()
            at_work = asyncio.create_task(working.fetchval("select 1 from pg_sleep(2)"))
            one.sessions[1].go_on.clear()
            with pytest.raises(QueryTimeout):
                await db.execute("select 1", timeout=0.1)  # by the one that was given back last
            assert await at_work == 1
            assert len(other.sessions) > 1, "nobody looked for another server"
            one.resume()
