"""A job that is resumed with something else than it was begun with: refused, and told what differs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

import pytest

from dbpool import DatabasePool, JobChanged, UsageError
from tests.support.databases import Database
from tests.support.jobs import CHUNK, COUNT, SQL, TABLES, assert_each_once, entered, job_of
from tests.support.pools import Witness, pool_of, witness_of

ITEMS = list(range(1, 1001))


async def run(db: DatabasePool, items: Iterable[object], **options: object) -> None:
    await db.job("count", SQL, items, chunk=CHUNK, **options).run()  # type: ignore[arg-type]


def unsized(items: Iterable[object]) -> Iterator[object]:
    yield from items


async def half_done(db: DatabasePool, witness: Witness) -> None:
    """Chunks 0 to 4 of ten are stored, as if the run had been killed then."""
    await witness.run(TABLES)
    await run(db, ITEMS)
    await witness.run("delete from dbpool_job_chunk where chunk > 4")
    await witness.run("delete from seen where n > 500")
    await witness.run("update dbpool_job set state = 'stopped', total = null")


@pytest.mark.parametrize(
    ("items", "chunk"),
    [
        ([*ITEMS[:250], -1, *ITEMS[251:]], 2),
        ([2, 1, *ITEMS[2:]], 0),
        ([str(n) for n in ITEMS], 0),
        ([*ITEMS[:499], 501, 500, *ITEMS[501:]], 4),
        (ITEMS[1:], 0),
        ([(n, n) for n in ITEMS], 0),
    ],
    ids=["one value", "order", "type", "order across chunks", "one less at the beginning", "more values"],
)
@pytest.mark.parametrize("is_sized", [True, False])
async def test_other_items_are_refused_with_the_chunk_and_its_first_item(
    shop: Database, items: list[object], chunk: int, is_sized: bool
) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await half_done(db, witness)
        with pytest.raises(
            JobChanged, match=rf"in chunk {chunk}, its items, from item {chunk * CHUNK + 1} on"
        ) as raised:
            await run(db, items if is_sized else unsized(items))
        assert (raised.value.job, raised.value.chunk) == ("count", chunk)
        assert await witness.value("select count(*) from seen") == 500
        await run(db, ITEMS)
        await assert_each_once(witness, 1000)


@pytest.mark.parametrize(
    ("items", "what"),
    [
        (ITEMS[:450], "the source has ended after 450 items|its items, from item 401 on"),
        (ITEMS[:400], "the source has ended after 400 items, and it had more"),
        ([], "the source has ended after 0 items"),
    ],
)
async def test_a_source_that_ends_before_what_is_stored_is_refused(
    shop: Database, items: list[object], what: str
) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await half_done(db, witness)
        with pytest.raises(JobChanged, match=what):
            await run(db, unsized(items))


@pytest.mark.parametrize(
    ("items", "unsized_says"),
    [
        ([*ITEMS, 1001], "more than 1000 items, and it had 1000"),
        ([*ITEMS, *range(1001, 1500)], "more than 1000 items, and it had 1000"),
        (ITEMS[:999], "only 999 items, and it had 1000"),
        (ITEMS[:900], "only 900 items, and it had 1000"),
    ],
)
async def test_a_longer_or_shorter_source_of_a_job_that_was_done_is_refused(
    shop: Database, items: list[object], unsized_says: str
) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await run(db, ITEMS)
        with pytest.raises(JobChanged, match=f"was begun with 1000 items, not {len(items)}"):
            await run(db, items)
        for trust in (True, False):
            with pytest.raises(JobChanged, match=unsized_says):
                await run(db, unsized(items), trust=trust)
        await assert_each_once(witness, 1000)


async def test_another_statement_or_chunk_size_is_refused(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await job_of(db).run()
        items = range(1, COUNT + 1)
        with pytest.raises(JobChanged, match="was begun with another statement: 'insert into seen select"):
            await db.job("count", "insert into seen values ($1)", items, chunk=CHUNK).run()
        with pytest.raises(JobChanged, match=f"was begun with chunk={CHUNK}, not 7"):
            await db.job("count", SQL, items, chunk=7).run()
        await db.job("another", "insert into seen values ($1)", [], chunk=7).run()


async def test_who_trusts_is_not_compared(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await half_done(db, witness)
        await run(db, [*(0 for _ in range(500)), *ITEMS[500:]], trust=True)
        await assert_each_once(witness, 1000)


async def test_a_chunk_that_another_run_has_stored_meanwhile_is_compared_too(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await half_done(db, witness)
        await witness.run("update dbpool_job set total = 1000")
        job_id = await entered(job_of(db, 1000))
        async with witness_of(shop) as other:
            await other.run("begin")
            await other.run(
                "insert into dbpool_job_chunk (job, chunk, items, digest) values ($1, 5, 100, $2)", job_id, b"x" * 16
            )
            task = asyncio.create_task(run(db, unsized(ITEMS), at_once=1))
            while not await witness.value(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            ):
                await asyncio.sleep(0.01)
            await other.run("commit")
        with pytest.raises(JobChanged, match="in chunk 5, its items, from item 501 on"):
            await task


async def test_values_that_could_not_be_known_again_are_refused(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        with pytest.raises(UsageError, match="shows nothing of its content"):
            await run(db, [1, object()])
