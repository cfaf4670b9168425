"""A server that has stopped answering is left for another one; a single session that has is not."""

from __future__ import annotations

import asyncio
from typing import cast

import asyncpg
import pytest

from dbpool.core.hosts import NoServerSuits
from dbpool.doubt import Doubt
from dbpool.driver import Driver
from dbpool.errors import ConnectionLost, QueryTimeout
from dbpool.leases import Leases
from dbpool.oneshot import Calls
from dbpool.reaching import Unsuited
from dbpool.upkeep import Upkeep
from tests.support.fakes import FakeConnection, FakeDriver, Pool, some_settings
from tests.support.loops import outcomes
from tests.support.script import NEVER, Reply, Script

A, B = ("a", 5432), ("b", 5432)
FULL = asyncpg.TooManyConnectionsError("sorry, too many clients already")
STARTING = asyncpg.CannotConnectNowError("the database system is starting up")


class Apart:
    """A connection beside the pool's."""

    def __init__(self, server: object) -> None:
        self._addr = server

    def terminate(self) -> None:
        """It has no socket."""


class TwoServers(FakeDriver):
    """Connections lead to A and B in turn; a new one beside them to B, unless it must be another."""

    def __init__(self, script: Script) -> None:
        super().__init__(3, script)
        self.asked: list[object] = []
        self.refuses: dict[object, BaseException | None] = {}
        """Servers that give no connection, and why; None: they do not answer."""

    async def connect_apart(self, server: object = None, timeout: float = 10.0) -> Apart:
        self.asked.append(server)
        server = server or B
        why = self.refuses.get(server, self)
        if why is None:
            await asyncio.sleep(timeout)
        if isinstance(why, asyncpg.PostgresError) and why is not FULL and why is not STARTING:
            raise why
        if why is not self:
            raise NoServerSuits("", [why or TimeoutError()])  # type: ignore[list-item] # it is no TwoServers
        await asyncio.sleep(0.01)
        return Apart(server)


class Session(FakeConnection):
    """A connection to one of them."""

    def __init__(self, driver: FakeDriver, number: int) -> None:
        super().__init__(driver, number)
        self._addr = B if number % 2 else A


async def pool_of_two() -> tuple[Pool, TwoServers, Doubt]:
    """Three sessions, of which the first and the last lead to A; what is stuck has no answer to its cancellation."""
    script = Script(cancel_s=NEVER, replies={"stuck": Reply(after_s=NEVER), "long": Reply(after_s=4.0)})
    driver = TwoServers(script)
    driver.make_connection = Session
    settings = some_settings(3, reset_timeout=2.0)
    leases = Leases(settings, driver=cast(Driver, driver))
    doubt = Doubt(leases)
    leases.on_doubt = doubt.of
    pool = Pool(driver, leases, Calls(leases, settings), settings, Upkeep(leases, settings))
    await leases.open()
    async with leases.lease(1), leases.lease(1), leases.lease(1):
        pass
    return pool, driver, doubt


async def all_at_once(pool: Pool) -> dict[int, object]:
    """By its session's number, how each statement ended: one at A is stuck, the others take long."""
    asked = [("stuck", 0.2), ("long", 9.0), ("long", 9.0)]
    ends = await outcomes(*(asyncio.ensure_future(pool.ask(sql, timeout=timeout)) for sql, timeout in asked))
    assert isinstance(ends[0], QueryTimeout)
    assert stuck(pool) % 2 == 0
    numbers = [number for number, sql in pool.driver.sent if sql in ("stuck", "long")]
    return dict(zip(numbers, ends, strict=True))


def stuck(pool: Pool) -> int:
    return next(number for number, sql in pool.driver.sent if sql == "stuck")


def lost(ends: dict[int, object]) -> set[int]:
    return {number for number, end in ends.items() if isinstance(end, ConnectionLost)}


@pytest.mark.parametrize("why", ["it answers", FULL, asyncpg.InvalidPasswordError("")], ids=str)
async def test_one_session_that_is_stuck_costs_those_beside_it_nothing(why: object) -> None:
    pool, driver, _ = await pool_of_two()
    if isinstance(why, BaseException):
        driver.refuses[A] = why
    ends = await all_at_once(pool)
    assert {number % 2 for number in ends} == {0, 1}
    assert not lost(ends)
    assert driver.asked.count(A) == 1
    pool.check()


@pytest.mark.parametrize("why", [None, STARTING, ConnectionRefusedError(), Unsuited("it is a standby")], ids=repr)
async def test_a_server_that_gives_no_connection_is_left_for_another_one(why: BaseException | None) -> None:
    pool, driver, _ = await pool_of_two()
    driver.refuses[A] = why
    ends = await all_at_once(pool)
    assert lost(ends) == {number for number, end in ends.items() if number % 2 == 0} - {stuck(pool)}
    assert {connection.number % 2 for connection in driver.connections} == {1}
    pool.check_at_rest()


async def test_a_server_that_gives_no_connection_keeps_its_own_while_no_other_one_does() -> None:
    pool, driver, _ = await pool_of_two()
    driver.refuses |= {A: None, B: None}
    assert not lost(await all_at_once(pool))
    assert A in driver.asked


async def test_each_suspect_has_its_own_time_to_answer() -> None:
    pool, driver, doubt = await pool_of_two()
    first, second, _ = driver.connections
    for suspect in (first, second):
        suspect.is_interrupted = True
        doubt.of(suspect)  # type: ignore[arg-type] # a fake
        await asyncio.sleep(0.25)
        suspect.is_interrupted = False
    await asyncio.sleep(2.0)
    assert driver.asked == []
    second.is_interrupted = True
    doubt.of(second)  # type: ignore[arg-type]
    await asyncio.sleep(0.4)
    assert driver.asked.count(B) == 1
    second.is_interrupted = False
    pool.check_at_rest()


async def test_a_suspect_that_comes_as_the_last_one_is_cleared_is_asked_about_once() -> None:
    pool, driver, doubt = await pool_of_two()
    suspect = driver.connections[0]
    for _ in range(2):
        suspect.is_interrupted = True
        doubt.of(suspect)  # type: ignore[arg-type] # a fake
        await asyncio.sleep(0.1)
        suspect.is_interrupted = False
        await asyncio.sleep(0.205)  # the look has just been, and found that it has answered
    assert driver.asked == []
    suspect.is_interrupted = True
    doubt.of(suspect)  # type: ignore[arg-type]
    await asyncio.sleep(0.4)
    assert driver.asked.count(A) == 1
    suspect.is_interrupted = False
    pool.check_at_rest()
