"""One-shot statements: sent the instant a connection is there, and each caller's trouble its own."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

import asyncpg
import pytest

from dbpool.connection import Want
from dbpool.errors import AcquireTimeout, ConnectionLost, QueryTimeout
from tests.support.fakes import Pool, hold, open_pool
from tests.support.loops import now, outcomes, settle
from tests.support.script import NEVER, Reply, Script

LIMIT_S = 60.0  # query_timeout's default
TICK_S = 0.011  # a deadline is at most one tick late


async def prepared_pool(connections: int = 1, script: Script | None = None, **options: object) -> Pool:
    """A pool whose connections have all prepared ``select`` and ``sets``, and rest."""
    pool = await open_pool(connections, script, **options)
    async with AsyncExitStack() as stack:
        for _ in range(connections):
            connection = await stack.enter_async_context(pool.leases.lease(1))
            for sql in ("select", "sets"):
                await connection.run(sql, (), Want.ROWS, 1)
    assert pool.leases.idle == connections
    return pool


async def test_a_statement_gives_its_rows() -> None:
    pool = await prepared_pool(script=Script(replies={"select": Reply(rows=[[1], [2]])}))
    assert await pool.ask() == [[1], [2]]


async def test_a_prepared_statement_is_sent_before_its_caller_is_suspended() -> None:
    pool = await prepared_pool()
    sent = len(pool.driver.sent)
    work = pool.ask()
    work.send(None)
    assert len(pool.driver.sent) == sent + 1
    work.close()
    await asyncio.sleep(1)
    pool.check_at_rest()


async def test_the_next_statement_is_sent_before_the_last_caller_wakes() -> None:
    pool = await prepared_pool()
    sent_when_woken: list[int] = []

    async def ask() -> None:
        await pool.ask()
        sent_when_woken.append(len(pool.driver.sent) - before)

    before = len(pool.driver.sent)
    await asyncio.gather(*(ask() for _ in range(4)))
    assert sent_when_woken == [2, 3, 4, 4]
    pool.check_at_rest()


async def test_statements_share_connections_without_a_reset_or_a_ping() -> None:
    pool = await prepared_pool(3)
    with pool.counting() as counts:
        await asyncio.gather(*(pool.ask() for _ in range(300)))
    assert counts == {"sent": 300, "connects": 0, "resets": 0, "handed_on": 297}
    pool.check_at_rest()


async def test_a_statement_that_may_change_the_session_is_cleaned_up_after() -> None:
    pool = await prepared_pool()
    with pool.counting() as counts:
        await asyncio.gather(*(pool.ask("sets", caller) for caller in "abc"), pool.ask("select", "d"))
    assert counts["resets"] == 3
    pool.check_at_rest()  # the fake saw that nobody met another's state


async def test_a_caller_waits_for_the_cleanup_of_its_statement() -> None:
    pool = await prepared_pool()
    pool.driver.script.clean_s = 2.0
    began = now()
    await pool.ask("sets")
    assert now() - began == pytest.approx(2, abs=0.01)
    pool.check_at_rest()


async def test_a_caller_that_stood_in_line_waits_for_the_cleanup_of_its_statement_too() -> None:
    pool = await prepared_pool()
    pool.driver.script.clean_s = 2.0
    async with pool.leases.lease(1):
        asking = asyncio.create_task(pool.ask("sets"))
        await settle()
        began = now()
    await asking
    assert now() - began == pytest.approx(2, abs=0.01)
    pool.check_at_rest()


async def test_a_statement_answered_in_time_is_no_timeout_however_long_its_cleanup() -> None:
    pool = await prepared_pool(script=Script(replies={"sets": Reply(rows=[[1]])}))
    pool.driver.script.clean_s = 3.0
    assert await pool.ask("sets", timeout=1) == [[1]]
    pool.check_at_rest()


@pytest.mark.parametrize("error", [asyncpg.UniqueViolationError("twice"), asyncpg.UndefinedTableError("no t")])
async def test_a_servers_error_is_its_callers_alone(error: Exception) -> None:
    pool = await prepared_pool()
    pool.driver.script.replies["bad"] = Reply(error=error)
    for _ in range(2):  # not prepared yet, then prepared
        tasks = [asyncio.create_task(pool.ask(sql)) for sql in ("select", "bad", "select")]
        results = await outcomes(*tasks)
        assert results == [[], error, []]
    assert pool.driver.connects_tried == 1
    pool.check_at_rest()


async def test_an_error_that_spoils_the_connection_costs_it() -> None:
    pool = await prepared_pool(script=Script(replies={"bad": Reply(error=asyncpg.InvalidSQLStatementNameError("x"))}))
    with pytest.raises(asyncpg.InvalidSQLStatementNameError):
        await pool.ask("bad")
    await pool.ask()
    assert pool.driver.opened[0].is_closed()
    pool.check_at_rest()


async def test_a_stale_plan_is_prepared_again_unseen() -> None:
    pool = await prepared_pool()
    reply = pool.driver.script.replies["select"] = Reply(error=asyncpg.InvalidCachedStatementError("stale"), rows=[[7]])
    asking = asyncio.create_task(pool.ask())
    await settle()
    asyncio.get_running_loop().call_later(0.001, setattr, reply, "error", None)
    assert await asking == [[7]]
    pool.check_at_rest()


async def test_a_statement_that_runs_out_of_time_after_a_stale_plan_harms_nobody() -> None:
    pool = await prepared_pool(2, query_timeout=5.0)
    stale = Reply(error=asyncpg.InvalidCachedStatementError("stale"))
    pool.driver.script.replies |= {"select": stale, "sets": Reply(NEVER)}
    tasks = [asyncio.create_task(pool.ask(sql)) for sql in ("select", "sets")]
    await settle()
    stale.after_s = NEVER  # when it is sent again
    await asyncio.sleep(0.0015)
    stale.error = None
    assert {type(error) for error in await outcomes(*tasks)} == {QueryTimeout}
    assert now() < 5.1
    await asyncio.sleep(1)
    pool.check_at_rest()


@pytest.mark.parametrize("is_prepared", [True, False])
async def test_a_connection_that_dies_in_mid_statement_is_told_as_lost(is_prepared: bool) -> None:
    pool = await prepared_pool() if is_prepared else await open_pool()
    pool.driver.script.replies["select"] = Reply(kills=True)
    with pytest.raises(ConnectionLost, match="may or may not") as failure:
        await pool.ask()
    assert isinstance(failure.value.__cause__, asyncpg.PostgresError)
    pool.driver.script.replies.clear()
    assert await pool.ask() == []
    pool.check_at_rest()


async def test_those_in_line_behind_a_lost_connection_get_a_new_one() -> None:
    pool = await prepared_pool()
    pool.driver.script.replies["dies"] = Reply(kills=True)
    tasks = [asyncio.create_task(pool.ask(sql)) for sql in ("dies", *["select"] * 10)]
    error, *results = await outcomes(*tasks)
    assert isinstance(error, ConnectionLost)
    assert results == [[]] * 10
    pool.check_at_rest()


@pytest.mark.parametrize("timeout", [None, 2.0])
@pytest.mark.parametrize("is_prepared", [True, False])
async def test_a_statement_out_of_time_is_cancelled_and_keeps_its_permit_until_all_is_clean(
    timeout: float | None, is_prepared: bool
) -> None:
    pool = await prepared_pool() if is_prepared else await open_pool()
    pool.driver.script.replies["select"] = Reply(NEVER)
    pool.driver.script.cancel_s, pool.driver.script.clean_s = 0.5, 0.25
    began = now()
    with pytest.raises(QueryTimeout, match="may or may not") as failure:
        await pool.ask(timeout=timeout)
    limit = timeout or LIMIT_S
    assert failure.value.timeout_s == pytest.approx(limit)
    assert limit - 1e-6 <= now() - began <= limit + TICK_S
    assert pool.leases.gate.held == 1
    assert await hold(pool) == 0
    assert now() - began == pytest.approx(limit + 0.75, abs=2 * TICK_S)
    pool.check_at_rest()


@pytest.mark.parametrize("is_prepared", [True, False])
async def test_a_statement_out_of_time_says_so_in_the_cleanup_of_a_cancelled_task(is_prepared: bool) -> None:
    pool = await prepared_pool() if is_prepared else await open_pool()
    pool.driver.script.replies["select"] = Reply(NEVER)

    told: list[type[BaseException]] = []

    async def clean_up_when_cancelled() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            try:
                await pool.ask(timeout=1)
            except BaseException as error:
                told.append(type(error))
            raise

    task = asyncio.create_task(clean_up_when_cancelled())
    await settle()
    task.cancel()
    await outcomes(task)
    assert told == [QueryTimeout]
    await asyncio.sleep(1)
    pool.check_at_rest()


async def test_a_cancel_that_is_never_acknowledged_costs_the_connection() -> None:
    pool = await prepared_pool(reset_timeout=2.0)
    pool.driver.script.replies["select"] = Reply(NEVER)
    pool.driver.script.cancel_s = NEVER
    with pytest.raises(QueryTimeout):
        await pool.ask(timeout=1)
    assert await hold(pool) == 1
    assert now() < 1 + 2 + 0.1
    pool.check_at_rest()


async def test_a_timeout_of_the_call_counts_the_wait_for_a_connection_too() -> None:
    pool = await prepared_pool(script=Script(replies={"slow": Reply(2.0)}))
    async with pool.leases.lease(1):
        began = now()
        asking = asyncio.create_task(pool.ask("slow", timeout=3))
        await asyncio.sleep(2)
    (error,) = await outcomes(asking)
    assert isinstance(error, QueryTimeout)
    assert now() - began == pytest.approx(3, abs=TICK_S)
    await asyncio.sleep(1)
    pool.check_at_rest()


async def test_a_statement_that_gets_no_connection_in_time_was_not_sent() -> None:
    pool = await prepared_pool()
    holder = asyncio.create_task(hold(pool, 5))
    await settle()
    with pool.counting() as counts, pytest.raises(AcquireTimeout):
        await pool.ask(timeout=2)
    assert counts["sent"] == 0
    await holder


async def test_an_answer_in_the_instant_of_its_timeout_is_one_or_the_other() -> None:
    pool = await prepared_pool()
    for early in range(-3, 15):
        pool.driver.script.replies["select"] = Reply(1 + early * 0.001, rows=[[1]])
        (result,) = await outcomes(asyncio.create_task(pool.ask(timeout=1)))
        assert result == [[1]] or isinstance(result, QueryTimeout)
        await asyncio.sleep(0.1)
        pool.check_at_rest()


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_a_caller_cancelled_in_the_instant_of_its_answer_loses_nothing(cancel_first: bool) -> None:
    pool = await prepared_pool()
    for turns in range(6):
        asking = asyncio.create_task(pool.ask())
        behind = asyncio.create_task(pool.ask())
        await settle()
        cancel_at = now() + 0.001 + (-1e-7 if cancel_first else 1e-7)
        asyncio.get_running_loop().call_at(cancel_at, lambda turns=turns, asking=asking: cancel_after(turns, asking))  # type: ignore[misc]
        await outcomes(asking)
        assert await behind == []
        await asyncio.sleep(0.1)
        pool.check_at_rest()


def cancel_after(turns: int, task: asyncio.Task[object]) -> None:
    """Cancel *task* after some turns of the loop."""
    if turns:
        asyncio.get_running_loop().call_soon(cancel_after, turns - 1, task)
    else:
        task.cancel()


async def test_a_cancelled_caller_returns_at_once_and_its_statement_is_cancelled_on_the_server() -> None:
    pool = await prepared_pool(script=Script(replies={"slow": Reply(100.0)}))
    for _ in range(2):  # not prepared yet, then prepared
        asking = asyncio.create_task(pool.ask("slow"))
        await asyncio.sleep(1)
        asking.cancel()
        cancelled_at = now()
        await outcomes(asking)
        assert asking.cancelled()
        assert now() == cancelled_at
        assert pool.leases.gate.held == 1
        assert await pool.ask() == []
        assert now() - cancelled_at < 0.1
    assert pool.driver.connects_tried == 1
    pool.check_at_rest()


async def test_a_caller_cancelled_in_the_instant_of_its_grant_has_sent_nothing() -> None:
    pool = await prepared_pool()
    async with pool.leases.lease(1):
        first, second = asyncio.create_task(pool.ask("select", 1)), asyncio.create_task(pool.ask("select", 2))
        await settle()
        first.cancel()
    assert await second == [[2]]
    assert first.cancelled()
    pool.check_at_rest()


async def test_arguments_that_do_not_fit_are_their_callers_alone() -> None:
    pool = await prepared_pool(script=Script(replies={"select": Reply(takes=int)}))
    tasks = [asyncio.create_task(pool.ask("select", arg)) for arg in (1, "one", 2)]
    first, error, third = await outcomes(*tasks)
    assert (first, third) == ([[1]], [[2]])
    assert isinstance(error, asyncpg.DataError)
    assert pool.driver.connects_tried == 1
    pool.check_at_rest()


async def test_two_thousand_in_line_with_arguments_that_do_not_fit_each_get_their_error() -> None:
    assert sys.getrecursionlimit() <= 2_000
    pool = await prepared_pool(script=Script(replies={"select": Reply(takes=int)}))
    async with pool.leases.lease(1):
        bad = [asyncio.create_task(pool.ask("select", "one")) for _ in range(2_000)]
        good = asyncio.create_task(pool.ask("select", 1))
        await settle()
    assert {type(error) for error in await outcomes(*bad)} == {asyncpg.DataError}
    assert await good == [[1]]
    pool.check_at_rest()


async def test_two_thousand_in_line_that_are_all_cancelled_are_passed_over() -> None:
    pool = await prepared_pool()
    async with pool.leases.lease(1):
        tasks = [asyncio.create_task(pool.ask()) for _ in range(2_000)]
        await settle()
        for task in tasks:
            task.cancel()
        last = asyncio.create_task(pool.ask())
    assert await last == []
    assert all(task.cancelled() for task in tasks)
    pool.check_at_rest()


async def test_a_statement_after_a_second_of_rest_is_asked_for_life_first() -> None:
    pool = await prepared_pool()
    await asyncio.sleep(5)
    pool.driver.opened[0].peer_is_gone = True
    assert await pool.ask() == []
    assert pool.driver.opened[0].is_closed()
    pool.check_at_rest()


async def test_a_statement_is_not_sent_on_a_connection_that_is_too_old() -> None:
    pool = await prepared_pool()
    pool.driver.opened[0].expires_at = now() + 0.5
    await asyncio.sleep(0.6)  # less than what a ping would be due after
    await pool.ask()
    assert pool.driver.sent[-1] == (1, "select")
    assert pool.driver.opened[0].is_closed()
    pool.check_at_rest()


async def test_a_statement_that_leaves_a_transaction_open_is_cleaned_up_after() -> None:
    pool = await prepared_pool()
    with pool.counting() as counts:
        await pool.ask("begin")
    assert counts["resets"] == 1
    pool.check_at_rest()


async def test_the_wait_for_a_permit_and_then_a_connection_takes_no_longer_than_acquire_timeout_together() -> None:
    pool = await prepared_pool(2, acquire_timeout=2.0)
    holder = asyncio.create_task(hold(pool, 1.5))
    other = asyncio.create_task(hold(pool, 100))
    await settle()
    began = now()
    asking = asyncio.create_task(pool.ask())
    await asyncio.sleep(1)
    pool.driver.opened[0].lose()
    pool.driver.opened[1].lose()
    pool.driver.script.connect_s = NEVER
    (error,) = await outcomes(asking)
    assert isinstance(error, AcquireTimeout)
    assert now() - began <= 2 + TICK_S
    other.cancel()
    await outcomes(holder, other)
