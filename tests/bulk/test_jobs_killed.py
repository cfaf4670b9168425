"""A job that is killed, at named instants or at any, and resumed at once: each item has had its effect once."""

from __future__ import annotations

import asyncio
import random

import pytest

from dbpool.core.grouping import MOST
from tests.support.databases import Database
from tests.support.jobs import CHUNK, COUNT, TABLES, assert_each_once, job_of, resumed, running
from tests.support.pools import becomes, pool_of, settled, until, witness_of
from tests.support.proxy import Do, Message, Rule, Way, proxy_before

pytestmark = pytest.mark.timeout(150)  # a process takes seconds to start where many do


@pytest.mark.parametrize(
    "item", [1, CHUNK // 2, CHUNK, CHUNK + 1, COUNT - 1], ids=["first", "mid-first", "end-of-first", "second", "last"]
)
async def test_killed_in_the_middle_of_a_chunk(shop: Database, item: int) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await witness.run("insert into hold values ($1)", item)
        async with witness.holding(1):
            async with running(shop.dsn) as run:
                (pid,) = await witness.until_blocked()
                await run.kill()
            stored = await witness.value("select count(*) from seen")
            before = (item - 1) // CHUNK  # chunks, of which the last ones may have been in the same transaction
            assert stored in [CHUNK * chunks for chunks in range(max(0, before + 1 - MOST), before + 1)]
            again = asyncio.create_task(resumed(db, witness))  # while the dead one's session is in its transaction
            await becomes(lambda: db.stats().held == 1)
            assert pid in await witness.pids()
        assert (await again).skipped == stored
        await settled(db)


def stalled_at_answer(text: bytes) -> Rule:
    """A message with *text* reaches the server; nothing that follows reaches the client."""
    sessions: set[int] = set()

    def rule(message: Message) -> Do:
        if message.way is Way.TO_SERVER and text in message.body:
            sessions.add(message.session.number)
        elif message.way is Way.TO_CLIENT and message.session.number in sessions:
            return Do.STALL
        return Do.PASS

    return rule


def stalled_before(text: bytes) -> Rule:
    """A message with *text* does not reach the server, nor what follows."""
    return lambda message: Do.STALL if message.way is Way.TO_SERVER and text in message.body else Do.PASS


@pytest.mark.parametrize(
    ("rule", "stored"),
    [
        (stalled_before(b"BEGIN; INSERT INTO dbpool_job_chunk"), 0),
        (stalled_before(b"COMMIT"), 0),
        (stalled_at_answer(b"COMMIT"), CHUNK),
        (stalled_before(b"UPDATE dbpool_job SET state"), COUNT),
    ],
    ids=["before the first chunk", "before its COMMIT", "between COMMIT and its answer", "after the last chunk"],
)
async def test_killed_between_two_messages(shop: Database, rule: Rule, stored: int) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness, proxy_before(shop.dsn) as proxy:
        await witness.run(TABLES)
        proxy.rule = rule
        async with running(proxy.dsn(shop.dsn)) as run:
            await becomes(lambda: proxy.is_stalled, 60)

            async def is_there() -> bool:
                return bool(await witness.value("select count(*) from seen") == stored)

            await until(is_there)
            await run.kill()
        proxy.end_all(reset=True)
        assert (await resumed(db, witness)).skipped == stored


async def test_killed_at_any_instant_again_and_again(shop: Database) -> None:
    count = 20_000
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        for _ in range(5):
            before = await witness.value("select count(*) from dbpool_job_chunk")
            async with running(shop.dsn, count, at_once=3) as run:

                async def goes_on(before: int = before) -> bool:
                    return bool(await witness.value("select count(*) from dbpool_job_chunk") > before)

                await until(goes_on, 60)
                await asyncio.sleep(random.random() * 0.1)
                await run.kill()
            rows = await witness.value("select count(*) from seen")
            if rows == count:
                break
        await resumed(db, witness, count)


async def test_a_run_that_ends_by_itself_is_done(shop: Database) -> None:
    async with witness_of(shop) as witness, pool_of(shop) as db:
        await witness.run(TABLES)
        async with running(shop.dsn) as run:
            assert "state='done'" in await run.output()
        await assert_each_once(witness)
        assert (await job_of(db).run()).skipped == COUNT
